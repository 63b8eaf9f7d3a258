// Keys that have no effect, for tests of structs whose options depend on each other.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

// Of `options` those that are set otherwise than in `standard` and do not matter: their names.
inline std::vector<std::string> idle_keys(std::vector<Option> options,
                                          std::vector<Option> standard) {
  std::vector<OptionTable> tables{{"", "", std::move(options)}};
  std::vector<std::string> names;
  for (const std::string& sentence : without_effect(tables, {{"", "", std::move(standard)}})) {
    const std::string rest = sentence.substr(std::string("the top level ").size());
    names.push_back(rest.substr(0, rest.find(' ')));
  }
  return names;
}

}  // namespace shoal

// What a plugin gives: things of a few kinds, by name.
#pragma once

#include <any>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/core/check.h"

namespace shoal {

enum class PluginPart : std::uint8_t { model, layer, data };

std::string_view name_of(PluginPart part);  // "model", "layer", "data set"

// Of what type the things of a kind are, their modules say: ModelMaker and LayerType in
// shoal/model/plugin_models.h, OpenDataParts in shoal/data/plugin_data.h.
class PluginRegistry {
 public:
  // Throws InvalidInput for an empty name, and for one that stands already.
  void add(PluginPart part, const std::string& name, const std::any& thing);

  std::vector<std::string> names(PluginPart part) const;  // in alphabetical order
  bool empty() const { return things_.empty(); }

  // Null when there is none of that name.
  template <typename Thing>
  const Thing* find(PluginPart part, const std::string& name) const {
    const auto found = things_.find({part, name});
    if (found == things_.end()) return nullptr;
    const auto* const thing = std::any_cast<Thing>(&found->second);
    check(thing != nullptr, "what a plugin registers has the type of its kind");
    return thing;
  }

 private:
  std::map<std::pair<PluginPart, std::string>, std::any> things_;
};

}  // namespace shoal

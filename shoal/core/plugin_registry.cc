#include "shoal/core/plugin_registry.h"

#include <fmt/format.h>

#include "shoal/core/error.h"

namespace shoal {

std::string_view name_of(PluginPart part) {
  switch (part) {
    case PluginPart::model:
      return "model";
    case PluginPart::layer:
      return "layer";
    case PluginPart::data:
      return "data set";
  }
  return "?";
}

void PluginRegistry::add(PluginPart part, const std::string& name, const std::any& thing) {
  if (name.empty()) {
    throw InvalidInput(fmt::format("it registers a {} without a name", name_of(part)));
  }
  if (!things_.try_emplace({part, name}, thing).second) {
    throw InvalidInput(
        fmt::format("it registers the {} '{}' twice: give each its own name", name_of(part), name));
  }
}

std::vector<std::string> PluginRegistry::names(PluginPart part) const {
  std::vector<std::string> names;
  for (const auto& [key, thing] : things_) {
    if (key.first == part) names.push_back(key.second);
  }
  return names;
}

}  // namespace shoal

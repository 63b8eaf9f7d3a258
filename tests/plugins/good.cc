// Registers texts, and counts how often it was asked to.
#include "tests/plugins/plain.h"

void shoal_register_plugin(shoal::PluginRegistry& registry) {
  static int calls = 0;
  registry.add(shoal::PluginPart::data, "count", ++calls);
  registry.add(shoal::PluginPart::data, "b", std::string("second"));
  registry.add(shoal::PluginPart::data, "a", std::string("first"));
  registry.add(shoal::PluginPart::model, "a", std::string("a model"));
}

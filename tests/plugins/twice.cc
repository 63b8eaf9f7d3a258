#include "tests/plugins/plain.h"

void shoal_register_plugin(shoal::PluginRegistry& registry) {
  registry.add(shoal::PluginPart::layer, "gate", 1);
  registry.add(shoal::PluginPart::layer, "gate", 2);
}

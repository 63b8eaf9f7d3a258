#include "tests/plugins/plain.h"

namespace shoal {
int of_a_newer_shoal(const std::string& name);
}

void shoal_register_plugin(shoal::PluginRegistry& registry) {
  registry.add(shoal::PluginPart::model, "m", shoal::of_a_newer_shoal("m"));
}

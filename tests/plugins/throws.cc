#include <stdexcept>

#include "tests/plugins/plain.h"

void shoal_register_plugin(shoal::PluginRegistry&) {
  throw std::runtime_error("the licence has run out\nat midnight");
}

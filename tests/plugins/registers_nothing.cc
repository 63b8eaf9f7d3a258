#include "tests/plugins/plain.h"

void shoal_register_plugin(shoal::PluginRegistry&) {}

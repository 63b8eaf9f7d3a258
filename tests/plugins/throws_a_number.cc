#include "tests/plugins/plain.h"

void shoal_register_plugin(shoal::PluginRegistry&) { throw 7; }

// A plugin without LibTorch, for tests of what loads plugins: as SHOAL_PLUGIN makes them, with
// nothing registered through shoal/plugin.h.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "shoal/core/plugin_registry.h"
#include "shoal/core/plugin_stamp.h"

extern "C" {
extern const shoal::PluginStamp kShoalPluginStamp;
void shoal_register_plugin(shoal::PluginRegistry& registry);
}

[[gnu::used, gnu::section(".shoal_plugin")]] constinit const shoal::PluginStamp kShoalPluginStamp =
    shoal::plugin_stamp("");

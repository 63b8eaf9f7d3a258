// Of another version, with code that runs when a library is loaded.
#include <cstdlib>

#include "shoal/core/plugin_stamp.h"

extern "C" {
extern const shoal::PluginStamp kShoalPluginStamp;
}

namespace {

constexpr shoal::PluginStamp of_another_version() {
  shoal::PluginStamp stamp = shoal::plugin_stamp("");
  stamp.interface_version = 4'000'000'000;
  return stamp;
}

const struct EndsTheProcess {
  EndsTheProcess() { std::_Exit(3); }
} ends_the_process;

}  // namespace

[[gnu::used, gnu::section(".shoal_plugin")]] constinit const shoal::PluginStamp kShoalPluginStamp =
    of_another_version();

#include <shoal/plugin.h>

SHOAL_PLUGIN(plugin) {
  plugin.add_model("mlp", [](const shoal::ModelRequest&) { return shoal::Chain(); });
}

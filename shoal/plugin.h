// A library of models, layers and data sets of your own for the command:
//
//   #include <shoal/plugin.h>
//   SHOAL_PLUGIN(plugin) { plugin.add_model("mine", my_chain); }
//
// in one file of it, built with shoal_add_plugin(mine mine.cc), is what a job names with
// [model] plugin = "mine.so" and name = "mine", or [data] name = "plugin", plugin and dataset. The
// command refuses a library that was built against another shoal, LibTorch or compiler.
#pragma once

#include <torch/version.h>

#include <string>
#include <type_traits>
#include <utility>

#include "shoal/core/plugin_registry.h"
#include "shoal/core/plugin_stamp.h"
#include "shoal/data/plugin_data.h"
#include "shoal/model/plugin_models.h"
#include "shoal/shoal.h"

namespace shoal {

// What a library gives, each under a name of its own. A name that stands already is refused
// (InvalidInput), as is one of shoal's own models or layers.
class Plugin {
 public:
  explicit Plugin(PluginRegistry& registry) : registry_(registry) {}

  // `make` takes a ModelRequest and gives a Chain, or layers as a job file writes them
  // (nlohmann::json). Called on every worker; what it throws refuses the job.
  template <typename Make>
  void add_model(const std::string& name, Make make) {
    using Made = std::invoke_result_t<Make&, const ModelRequest&>;
    ModelMaker maker;
    if constexpr (std::is_same_v<Made, nlohmann::json>) {
      maker.layers = std::move(make);
    } else {
      static_assert(std::is_same_v<Made, Chain>, "a model is a shoal::Chain or a nlohmann::json");
      maker.chain = std::move(make);
    }
    registry_.add(PluginPart::model, name, std::move(maker));
  }

  // For [model] layers, beside shoal's own, and for models that are made of layers.
  void add_layer(LayerType type) {
    const std::string name = type.name;
    registry_.add(PluginPart::layer, name, std::move(type));
  }

  // Called on every worker, in a thread of its own; what it throws refuses the job.
  void add_data(const std::string& name, OpenDataParts open) {
    registry_.add(PluginPart::data, name, std::move(open));
  }

 private:
  PluginRegistry& registry_;
};

}  // namespace shoal

// Read in the file, and found in the library, under these names: see shoal/core/plugin_library.h.
extern "C" {
[[gnu::visibility("default")]] extern const shoal::PluginStamp kShoalPluginStamp;
[[gnu::visibility("default")]] void shoal_register_plugin(shoal::PluginRegistry& registry);
}

// Once in a library; a function body that is told a shoal::Plugin follows. It runs once in a
// process, in any thread, and only registers: models and data are made later.
#define SHOAL_PLUGIN(plugin)                                                               \
  [[gnu::used,                                                                             \
    gnu::section(".shoal_plugin")]] constinit const shoal::PluginStamp kShoalPluginStamp = \
      shoal::plugin_stamp(TORCH_VERSION);                                                  \
  static void shoal_fill_plugin(shoal::Plugin& plugin);                                    \
  extern "C" void shoal_register_plugin(shoal::PluginRegistry& shoal_registry) {           \
    shoal::Plugin shoal_parts(shoal_registry);                                             \
    shoal_fill_plugin(shoal_parts);                                                        \
  }                                                                                        \
  static void shoal_fill_plugin([[maybe_unused]] shoal::Plugin& plugin)

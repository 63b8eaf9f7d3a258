// Models and layers that a plugin brings.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/core/plugin_registry.h"
#include "shoal/model/chain.h"
#include "shoal/model/layer.h"
#include "shoal/model/zoo.h"

namespace shoal {

// What a model is made for.
struct ModelRequest {
  DataShape data;
  LossKind loss = LossKind::cross_entropy;            // [model] loss; "auto" is resolved
  BatchNormScope batch_norm = BatchNormScope::local;  // [model] batch_norm
  nlohmann::json settings;  // [model] settings, a table; {} when the job has none
};

// One of the two. Called in every process, and has to give the same there.
struct ModelMaker {
  std::function<Chain(const ModelRequest&)> chain;
  // Layers as a job file writes them; the plugin's own may be among them.
  std::function<nlohmann::json(const ModelRequest&)> layers;
};

// Models and layers that a job can name: shoal's own, and those of a plugin. Holds the plugin's,
// which stays loaded.
class ModelParts {
 public:
  // `plugin`: a library, or empty. Throws as load_plugin() does, and InvalidInput for a model or
  // layer whose name stands for something of shoal's own.
  explicit ModelParts(const std::string& plugin);

  std::vector<std::string> own_models() const;  // the plugin's
  // Null when the plugin has no such model.
  const ModelMaker* find(const std::string& model) const;
  std::vector<LayerType> layers() const;  // shoal's, then the plugin's

 private:
  void check_layers() const;

  std::string file_;
  const PluginRegistry* registry_ = nullptr;  // null without a plugin
};

// The chain of a maker's that makes one. Throws InvalidInput, with the plugin's words, for whatever
// the maker throws, and for a chain that no run can take.
Chain chain_of_plugin(const ModelMaker& maker, const ModelRequest& request);
nlohmann::json layers_of_plugin(const ModelMaker& maker, const ModelRequest& request);

}  // namespace shoal

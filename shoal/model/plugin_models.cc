#include "shoal/model/plugin_models.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <set>

#include "shoal/core/error.h"
#include "shoal/core/plugin_library.h"

// What plugins have to be built against: the loader looks it up by this name, as it looks up all
// that plugins use.
extern "C" {
extern const shoal::PluginStamp kShoalProgramStamp;
}
constinit const shoal::PluginStamp kShoalProgramStamp = shoal::plugin_stamp(TORCH_VERSION);

namespace shoal {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> faults_of(const Chain& chain, const ModelRequest& request) {
  std::vector<std::string> faults;
  if (chain.size() == 0) faults.emplace_back("its chain has no blocks: give one at least");
  std::set<std::string> seen;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const BlockFactory& block = chain.blocks()[i];
    if (block.name.empty()) faults.push_back(fmt::format("block {} has no name: give it one", i));
    if (!block.build) faults.push_back(fmt::format("block {} has no function `build`", block.name));
    if (!block.name.empty() && !seen.insert(block.name).second) {
      faults.push_back(
          fmt::format("two blocks are called '{}': give each its own name", block.name));
    }
  }
  if (chain.loss() != request.loss) {
    faults.emplace_back(
        "its chain has another loss than the job and its data ask for: make it with "
        "ModelRequest::loss");
  }
  return faults;
}

}  // namespace

ModelParts::ModelParts(const std::string& plugin) : file_(plugin) {
  if (plugin.empty()) return;
  registry_ = &load_plugin(plugin);
  const auto zoo = model_names();
  for (const std::string& name : own_models()) {
    if (!has(zoo, name)) continue;
    throw InvalidInput(
        fmt::format("{} registers the model '{}', which is one of shoal's own: call it otherwise",
                    file_, name));
  }
  check_layers();
}

std::vector<std::string> ModelParts::own_models() const {
  return registry_ == nullptr ? std::vector<std::string>{} : registry_->names(PluginPart::model);
}

const ModelMaker* ModelParts::find(const std::string& model) const {
  return registry_ == nullptr ? nullptr : registry_->find<ModelMaker>(PluginPart::model, model);
}

std::vector<LayerType> ModelParts::layers() const {
  std::vector<LayerType> types = layer_types();
  if (registry_ == nullptr) return types;
  for (const std::string& name : registry_->names(PluginPart::layer)) {
    types.push_back(*registry_->find<LayerType>(PluginPart::layer, name));
  }
  return types;
}

// In a job file the one key that is a layer's name says of which kind an entry is, so no name may
// be a setting of another layer.
void ModelParts::check_layers() const {
  const std::vector<LayerType> types = layers();
  std::vector<std::string> faults;
  for (std::size_t i = layer_types().size(); i < types.size(); ++i) {
    const LayerType& own = types[i];
    if (!own.output_shape || !own.build) {
      faults.push_back(fmt::format("{}: layer '{}' lacks output_shape or build", file_, own.name));
    }
    for (std::size_t k = 0; k < types.size(); ++k) {
      if (k == i) continue;
      const auto is_own_name = [&](const LayerSetting& one) { return one.name == own.name; };
      const auto& settings = types[k].settings;
      if (types[k].name == own.name || std::any_of(settings.begin(), settings.end(), is_own_name)) {
        faults.push_back(
            fmt::format("{} registers the layer '{}', which is a layer or a setting of layer '{}': "
                        "call it otherwise",
                        file_, own.name, types[k].name));
      }
      for (const LayerSetting& setting : own.settings) {
        if (setting.name != types[k].name) continue;
        faults.push_back(fmt::format(
            "{}: the setting '{}' of layer '{}' is the name of a layer: call it otherwise", file_,
            setting.name, own.name));
      }
    }
  }
  require_none(std::move(faults));
}

Chain chain_of_plugin(const ModelMaker& maker, const ModelRequest& request) {
  Chain chain = in_plugin([&] { return maker.chain(request); });
  require_none(faults_of(chain, request));
  return chain;
}

nlohmann::json layers_of_plugin(const ModelMaker& maker, const ModelRequest& request) {
  return in_plugin([&] { return maker.layers(request); });
}

}  // namespace shoal

// Models, a layer and data that equal shoal's own, and some that no run can take.
#include <shoal/plugin.h>

#include <memory>
#include <string>

#include "shoal/data/random_dataset.h"
#include "shoal/model/layer_list.h"

namespace {

using Json = nlohmann::json;

class OwnTanh final : public shoal::Layer {
 public:
  at::Tensor forward(const at::Tensor& x, const shoal::Context&, bool) override {
    return at::tanh(x);
  }
};

// What "mlp" is with [model] hidden = [settings.width].
Json mlp_layers(const shoal::ModelRequest& request) {
  const Json hidden = Json::array({"flatten", {{"linear", request.settings.at("width")}}, "relu"});
  const Json head = Json::array({{{"linear", request.data.classes}}, "softmax"});
  return Json::array({hidden, head});
}

shoal::Chain chain_of(const Json& layers, const shoal::ModelRequest& request) {
  return {shoal::layer_list(layers, request.data.sample_shape).blocks, request.loss};
}

shoal::Chain mlp_chain(const shoal::ModelRequest& request) {
  return chain_of(mlp_layers(request), request);
}

shoal::DataParts random_parts(const shoal::DataRequest& request) {
  const auto part = [&](const std::string& name, const std::string& size) {
    return std::make_shared<shoal::RandomDataset>(shoal::RandomDatasetOptions{
        .name = "twin, " + name,
        .part = name,
        .seed = request.seed,
        .size = request.settings.at(size).get<std::int64_t>(),
        .sample_shape = request.settings.at("shape").get<std::vector<std::int64_t>>(),
        .classes = request.settings.value("classes", 10)});
  };
  return {.train = part("train", "size"), .test = part("test", "test_size")};
}

void add_unusable(shoal::Plugin& plugin) {
  using shoal::ModelRequest;
  plugin.add_model("seven_outputs", [](const ModelRequest& request) {
    return chain_of(Json::parse(R"(["flatten", {"linear": 7}])"), request);
  });
  plugin.add_model("does_not_fit", [](const ModelRequest& request) {
    return shoal::chain_of_module(
        "narrow", [] { return torch::nn::Linear(3, 10); }, request.loss);
  });
  plugin.add_model("no_blocks",
                   [](const ModelRequest& request) { return shoal::Chain({}, request.loss); });
  plugin.add_model("no_block", [](const ModelRequest& request) {
    return shoal::Chain({{.name = "a", .kind = "a", .build = [] { return nullptr; }}},
                        request.loss);
  });
  plugin.add_model("doubled", [](const ModelRequest& request) {
    auto blocks = mlp_chain(request).blocks();
    blocks.push_back(blocks.front());
    return shoal::Chain(blocks, request.loss);
  });
  plugin.add_model("own_loss", [](const ModelRequest& request) {
    return shoal::Chain(mlp_chain(request).blocks(), shoal::LossKind::huber);
  });
  plugin.add_data("no_training", [](const shoal::DataRequest&) { return shoal::DataParts{}; });
  plugin.add_data("two_kinds", [](const shoal::DataRequest& request) {
    shoal::DataRequest wider = request;
    wider.settings["shape"] = {5};
    return shoal::DataParts{.train = random_parts(request).train, .test = random_parts(wider).test};
  });
}

}  // namespace

SHOAL_PLUGIN(plugin) {
  plugin.add_model("twin_layers", mlp_layers);
  plugin.add_model("twin_chain", mlp_chain);
  plugin.add_layer(
      {.name = "own_tanh",
       .settings = {},
       .output_shape = shoal::same_shape,
       .build = [](const auto&, const auto&, const auto&) { return std::make_shared<OwnTanh>(); }});
  plugin.add_data("twin_random", random_parts);
  add_unusable(plugin);
}

// A plugin: a layer, a model and a data set of your own for the command shoal. Built in CMake with
// shoal_add_plugin(plugin plugin.cc); trained with: shoal train plugin.toml -n 2
#include <shoal/plugin.h>

#include <cmath>

using nlohmann::json;

// x times sigmoid(slope x); the slope is learnt.
class Swish final : public shoal::Layer {
 public:
  Swish() : slope_(register_parameter("slope", torch::empty({1}))) {}
  at::Tensor forward(const at::Tensor& x, const shoal::Context&, bool) override {
    return x * at::sigmoid(slope_ * x);
  }
  void initialise(const shoal::InitialValues&) override { slope_.fill_(1); }

 private:
  at::Tensor slope_;
};

// Two spirals; the points are computed when a batch is read.
class Spirals final : public shoal::Dataset {
 public:
  explicit Spirals(std::int64_t size)
      : Dataset({.name = "spirals", .size = size, .sample_shape = {2}, .answers = {.classes = 2}}) {
  }

  // Several threads of the loader call it at once.
  void read(std::span<const std::int64_t> ids, shoal::Batch& out) const override {
    prepare(ids, out);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const double turn = 4.0 * static_cast<double>(ids[i]) / static_cast<double>(size());
      const double sign = ids[i] % 2 == 0 ? 1 : -1;
      out.inputs.as<float>()[2 * i] = static_cast<float>(sign * turn * std::cos(turn));
      out.inputs.as<float>()[2 * i + 1] = static_cast<float>(sign * turn * std::sin(turn));
      out.labels[i] = ids[i] % 2;
    }
  }
};

SHOAL_PLUGIN(plugin) {
  plugin.add_layer(
      {.name = "swish",
       .settings = {},
       .output_shape = shoal::same_shape,
       .build = [](const auto&, const auto&, const auto&) { return std::make_shared<Swish>(); }});
  // Layers as a job writes them; a function that gives a shoal::Chain of blocks is a model, too.
  plugin.add_model("swish_net", [](const shoal::ModelRequest& request) -> json {
    const json hidden = json::array({{{"linear", request.settings.value("width", 16)}}, "swish"});
    return json::array({hidden, hidden, {{"linear", request.data.classes}}});
  });
  // Without test samples of its own: [data] test says how many are set aside.
  plugin.add_data("spirals", [](const shoal::DataRequest& request) {
    const auto size = request.settings.value("size", std::int64_t{1000});
    return shoal::DataParts{.train = std::make_shared<Spirals>(size), .test = nullptr};
  });
}

// A plugin of a user's: gated blocks, and points of which nothing but their distances tells.
#include <shoal/plugin.h>

#include <cmath>

// value(x) * sigmoid(gate(x)), as a block that a plan moves as a whole.
class Gate final : public shoal::Block {
 public:
  Gate(std::int64_t features, std::int64_t hidden)
      : value_(register_parameter("value", torch::empty({hidden, features}))),
        gate_(register_parameter("gate", torch::empty({hidden, features}))) {}
  shoal::Activations forward(const shoal::Activations& input, const shoal::Context&) override {
    const at::Tensor x = input.only().flatten(1);
    return shoal::Activations(at::linear(x, value_) * at::sigmoid(at::linear(x, gate_)));
  }

 private:
  at::Tensor value_, gate_;  // [hidden, features]
};

shoal::BlockFactory gate(const std::string& name, std::int64_t features, std::int64_t hidden) {
  return {.name = name,
          .kind = "gate " + std::to_string(features) + "-" + std::to_string(hidden),
          .build = [=] { return std::make_shared<Gate>(features, hidden); }};
}

shoal::Chain gates(const shoal::ModelRequest& request) {
  std::int64_t features = 1;
  for (const std::int64_t size : request.data.sample_shape) features *= size;
  const auto width = request.settings.at("width").get<std::int64_t>();
  return {{gate("first", features, width), gate("second", width, width),
           gate("last", width, request.data.classes)},
          request.loss};
}

// Points of a square: inside a ring, or not.
class Ring final : public shoal::Dataset {
 public:
  Ring(std::int64_t size, std::uint64_t seed)
      : Dataset({.name = "ring", .size = size, .sample_shape = {2}, .answers = {.classes = 2}}),
        points_(seed, "ring") {}
  void read(std::span<const std::int64_t> ids, shoal::Batch& out) const override {
    prepare(ids, out);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::span<float> point = out.inputs.as<float>().subspan(2 * i, 2);
      points_.at(static_cast<std::uint64_t>(ids[i])).uniform(point);
      for (float& coordinate : point) coordinate = 4 * coordinate - 2;
      const float radius = std::hypot(point[0], point[1]);
      out.labels[i] = radius > 0.8F && radius < 1.6F ? 1 : 0;
    }
  }

 private:
  shoal::RandomStream points_;
};

SHOAL_PLUGIN(plugin) {
  plugin.add_model("gates", gates);
  plugin.add_data("ring", [](const shoal::DataRequest& request) {
    return shoal::DataParts{.train = std::make_shared<Ring>(4000, request.seed),
                            .test = std::make_shared<Ring>(500, request.seed + 1)};
  });
}

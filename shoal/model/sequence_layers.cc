// Layers of sequences, whose samples are [positions] of ids or [positions, features].
#include <fmt/format.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

// A row of a table for each id; with positions, one for each place is added to it.
// Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019 (GPT-2):
// learned positions and initial values of deviation 0.02. Uniform, for these numbers are the same
// on every CPU.
class Embedding final : public Layer {
 public:
  Embedding(std::int64_t vocabulary, std::int64_t features, double deviation)
      : weight_(register_parameter("weight", torch::empty({vocabulary, features}))),
        deviation_(deviation) {}
  void add_positions(std::int64_t positions) {
    positions_ = register_parameter("positions", torch::empty({positions, weight_.size(1)}));
  }

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    const at::Tensor rows = at::embedding(weight_, x);
    return positions_.defined() ? rows + positions_ : rows;
  }
  bool output_is_free() const override { return true; }
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    return {tensor == "weight" ? "vocab" : "positions", "features"};
  }
  void initialise(const InitialValues& values) override {
    const double bound = std::sqrt(3.0) * deviation_;
    values.uniform(weight_, "weight", bound);
    if (positions_.defined()) values.uniform(positions_, "positions", bound);
  }

 private:
  at::Tensor weight_;     // [vocabulary, features]
  at::Tensor positions_;  // [positions, features], or undefined
  double deviation_;
};

// Along the positions. Causal: an output sees its own position and those before it, as if zeros
// stood before the first. Source: van den Oord et al., WaveNet, 2016, section 2.1 (causal,
// dilated).
class Conv1d final : public Layer {
 public:
  Conv1d(std::int64_t features, const LayerSettings& settings)
      : weight_(register_parameter("weight", torch::empty({settings.whole("conv1d"), features,
                                                           settings.whole("kernel")}))),
        dilation_(settings.whole("dilation")),
        padding_(settings.whole("padding")),
        causal_(settings.yes("causal")) {
    if (settings.yes("bias")) {
      bias_ = register_parameter("bias", torch::empty({settings.whole("conv1d")}));
    }
  }

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    at::Tensor channels = x.transpose(1, 2);
    if (causal_) {
      channels = at::constant_pad_nd(channels, {(weight_.size(2) - 1) * dilation_, 0});
    }
    return at::conv1d(channels, weight_, bias_, /*stride=*/1, padding_, dilation_)
        .transpose(1, 2)
        .contiguous();
  }
  bool output_is_free() const override { return true; }
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    if (tensor == "weight") return {"out_channels", "in_channels", ""};
    return {"out_channels"};
  }
  void initialise(const InitialValues& values) override { values.like_torch(weight_, bias_); }

 private:
  at::Tensor weight_;  // [outputs, inputs, kernel]
  at::Tensor bias_;    // [outputs], or undefined
  std::int64_t dilation_;
  std::int64_t padding_;
  bool causal_;
};

Shape embedded(const LayerSettings& settings, const Shape& input) {
  if (input.size() != 1) throw InvalidInput("it takes [positions] of ids");
  if (settings.whole("vocabulary") == 0) {
    throw InvalidInput("it has no vocabulary: the data's samples are numbers, not ids");
  }
  return {input[0], settings.whole("embedding")};
}

Shape convolved_along(const LayerSettings& settings, const Shape& input) {
  if (input.size() != 2) throw InvalidInput("it takes [positions, features]");
  if (settings.yes("causal")) {
    if (settings.whole("padding") != 0) {
      throw InvalidInput("causal = true pads by itself: leave padding out");
    }
    return {input[0], settings.whole("conv1d")};
  }
  const std::int64_t seen = (settings.whole("kernel") - 1) * settings.whole("dilation") + 1;
  const std::int64_t padded = input[0] + 2 * settings.whole("padding");
  if (padded < seen) {
    throw InvalidInput(fmt::format(
        "its kernel spans {} positions and there are {} with the padding", seen, padded));
  }
  return {padded - seen + 1, settings.whole("conv1d")};
}

}  // namespace

std::vector<LayerType> sequence_layers() {
  using Kind = LayerSetting::Kind;
  const LayerType embedding{
      .name = "embedding",
      .settings =
          {{.name = "embedding"},
           {.name = "vocabulary", .standard = 0, .low = 0},
           {.name = "positions", .kind = Kind::yes_no, .standard = 0},
           {.name = "deviation", .kind = Kind::number, .standard = 0.02, .low = 0, .high = 100}},
      .output_shape = embedded,
      .build = [](const LayerSettings& settings, const Shape& input, const std::string&) {
        auto layer =
            std::make_shared<Embedding>(settings.whole("vocabulary"), settings.whole("embedding"),
                                        settings.number("deviation"));
        if (settings.yes("positions")) layer->add_positions(input[0]);
        return layer;
      }};
  const LayerType conv1d{
      .name = "conv1d",
      .settings = {{.name = "conv1d"},
                   {.name = "kernel", .standard = 3, .high = 1 << 10},
                   {.name = "dilation", .standard = 1, .high = 1 << 16},
                   {.name = "padding", .standard = 0, .low = 0, .high = 1 << 16},
                   {.name = "causal", .kind = Kind::yes_no, .standard = 0},
                   {.name = "bias", .kind = Kind::yes_no, .standard = 1}},
      .output_shape = convolved_along,
      .build = [](const LayerSettings& settings, const Shape& input, const std::string&) {
        return std::make_shared<Conv1d>(input[1], settings);
      }};
  return {embedding, conv1d};
}

}  // namespace shoal

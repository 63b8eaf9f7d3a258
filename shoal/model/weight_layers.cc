// Layers with weights: linear and convolution.
#include <fmt/format.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

class Linear final : public Layer {
 public:
  Linear(std::int64_t inputs, std::int64_t outputs, bool bias, bool glorot)
      : weight_(register_parameter("weight", torch::empty({outputs, inputs}))), glorot_(glorot) {
    if (bias) bias_ = register_parameter("bias", torch::empty({outputs}));
  }

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::linear(x, weight_, bias_);
  }
  bool output_is_free() const override { return true; }
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    if (tensor == "weight") return {"out_features", "in_features"};
    return {"out_features"};
  }

  void initialise(const InitialValues& values) override {
    if (!glorot_) return values.like_torch(weight_, bias_);
    // Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    // networks, AISTATS 2010; Keras' default, with zero biases.
    values.uniform(weight_, "weight",
                   std::sqrt(6.0 / static_cast<double>(weight_.size(0) + weight_.size(1))));
    if (bias_.defined()) bias_.zero_();
  }

 private:
  at::Tensor weight_;  // [outputs, inputs]
  at::Tensor bias_;    // [outputs], or undefined
  bool glorot_;
};

class Conv final : public Layer {
 public:
  Conv(std::int64_t channels, const LayerSettings& settings)
      : weight_(register_parameter(
            "weight", torch::empty({settings.whole("conv"), channels, settings.whole("kernel"),
                                    settings.whole("kernel")}))),
        stride_(settings.whole("stride")),
        padding_(settings.whole("padding")),
        kaiming_(settings.yes("kaiming")) {
    if (settings.yes("bias")) {
      bias_ = register_parameter("bias", torch::empty({settings.whole("conv")}));
    }
  }

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::conv2d(x, weight_, bias_, {stride_, stride_}, {padding_, padding_});
  }
  bool output_is_free() const override { return true; }
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    if (tensor == "weight") return {"out_channels", "in_channels", "", ""};
    return {"out_channels"};
  }
  void initialise(const InitialValues& values) override {
    if (!kaiming_) return values.like_torch(weight_, bias_);
    // Source: He et al., Delving Deep into Rectifiers, ICCV 2015, section 2.2, backward form: the
    // variance 2 / fan_out. Uniform, for these numbers are the same on every CPU.
    const std::int64_t fan_out = weight_.numel() / weight_.size(1);
    values.uniform(weight_, "weight", std::sqrt(6 / static_cast<double>(fan_out)));
    if (bias_.defined()) bias_.zero_();
  }

 private:
  at::Tensor weight_;  // [outputs, inputs, kernel, kernel]
  at::Tensor bias_;    // [outputs], or undefined
  std::int64_t stride_;
  std::int64_t padding_;
  bool kaiming_;
};

std::int64_t convolved(std::int64_t size, const LayerSettings& settings) {
  const std::int64_t padded = size + 2 * settings.whole("padding");
  if (padded < settings.whole("kernel")) {
    throw InvalidInput(fmt::format("its kernel of {} is larger than the padded image of {}",
                                   settings.whole("kernel"), padded));
  }
  return (padded - settings.whole("kernel")) / settings.whole("stride") + 1;
}

}  // namespace

std::vector<LayerType> weight_layers() {
  using Kind = LayerSetting::Kind;
  const LayerSetting bias{.name = "bias", .kind = Kind::yes_no, .standard = 1};
  LayerType linear{.name = "linear",
                   .settings = {{.name = "linear"},
                                bias,
                                {.name = "glorot", .kind = Kind::yes_no, .standard = 0}},
                   .output_shape =
                       [](const LayerSettings& settings, const Shape& input) {
                         require_rows(input);
                         Shape output = input;
                         output.back() = settings.whole("linear");
                         return output;
                       },
                   .build =
                       [](const LayerSettings& settings, const Shape& input, const std::string&) {
                         return std::make_shared<Linear>(input.back(), settings.whole("linear"),
                                                         settings.yes("bias"),
                                                         settings.yes("glorot"));
                       }};
  LayerType conv{
      .name = "conv",
      .settings = {{.name = "conv"},
                   {.name = "kernel", .standard = 3, .high = 1 << 10},
                   {.name = "stride", .standard = 1, .high = 1 << 10},
                   {.name = "padding", .standard = 0, .low = 0, .high = 1 << 10},
                   bias,
                   {.name = "kaiming", .kind = Kind::yes_no, .standard = 0}},
      .output_shape =
          [](const LayerSettings& settings, const Shape& input) {
            require_image(input);
            return Shape{settings.whole("conv"), convolved(input[1], settings),
                         convolved(input[2], settings)};
          },
      .build = [](const LayerSettings& settings, const Shape& input,
                  const std::string&) { return std::make_shared<Conv>(input[0], settings); }};
  return {linear, conv};
}

}  // namespace shoal

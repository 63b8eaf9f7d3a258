// Functions of single elements, and the softmax head.
#include "shoal/model/layer.h"

namespace shoal {
namespace {

// relu and tanh: their backward reads the output, so the input may be overwritten.
class InPlaceable final : public Layer {
 public:
  using Fresh = at::Tensor (*)(const at::Tensor&);
  using InPlace = at::Tensor& (*)(at::Tensor&);
  InPlaceable(Fresh fresh, InPlace in_place) : fresh_(fresh), in_place_(in_place) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool may_overwrite) override {
    if (!may_overwrite) return fresh_(x);
    at::Tensor same = x;
    return in_place_(same);
  }

 private:
  Fresh fresh_;
  InPlace in_place_;
};

class Gelu final : public Layer {
 public:
  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::gelu(x);
  }
  bool output_is_free() const override { return true; }
};

// Logarithms of softmax: cross-entropy takes logits and applies the same function again, which
// changes nothing, because log-softmax of log-softmax is itself.
class SoftmaxHead final : public Layer {
 public:
  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::log_softmax(x, -1);
  }
};

LayerType in_placeable(std::string name, InPlaceable::Fresh fresh, InPlaceable::InPlace in_place) {
  return {.name = std::move(name),
          .settings = {},
          .output_shape = same_shape,
          .build = [fresh, in_place](const LayerSettings&, const Shape&, const std::string&) {
            return std::make_shared<InPlaceable>(fresh, in_place);
          }};
}

}  // namespace

std::vector<LayerType> activation_layers() {
  const LayerType gelu{.name = "gelu",
                       .settings = {},
                       .output_shape = same_shape,
                       .build = [](const LayerSettings&, const Shape&, const std::string&) {
                         return std::make_shared<Gelu>();
                       }};
  const LayerType softmax{
      .name = "softmax",
      .settings = {},
      .output_shape =
          [](const LayerSettings&, const Shape& input) {
            require_rows(input);
            return input;
          },
      .build = [](const LayerSettings&, const Shape&,
                  const std::string&) { return std::make_shared<SoftmaxHead>(); }};
  return {in_placeable("relu", at::relu, at::relu_), in_placeable("tanh", at::tanh, at::tanh_),
          gelu, softmax};
}

}  // namespace shoal

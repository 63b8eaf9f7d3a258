// The sum of two branches.
// Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 3.2.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "shoal/core/error.h"
#include "shoal/model/layer_sequence.h"

namespace shoal {
namespace {

class Residual final : public Layer {
 public:
  Residual(std::shared_ptr<LayerSequence> body, std::shared_ptr<LayerSequence> shortcut)
      : body_(register_module("body", std::move(body))), shortcut_(std::move(shortcut)) {
    if (!shortcut_->empty()) register_module("shortcut", shortcut_);
  }

  at::Tensor forward(const at::Tensor& x, const Context& context, bool /*may*/) override {
    at::Tensor sum = body_->forward(x, context, /*may_overwrite=*/false);
    const at::Tensor direct =
        shortcut_->empty() ? x : shortcut_->forward(x, context, /*may_overwrite=*/false);
    const bool may_add_in_place = body_->output_is_free() && !sum.is_view() &&
                                  !sum.is_alias_of(x) && !sum.is_alias_of(direct);
    return may_add_in_place ? sum.add_(direct) : sum + direct;
  }
  bool output_is_free() const override { return true; }

  void initialise(const InitialValues& values) override {
    body_->initialise({.seed = values.seed, .prefix = values.prefix + "body."});
    shortcut_->initialise({.seed = values.seed, .prefix = values.prefix + "shortcut."});
  }
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    for (const auto& [name, branch] : {std::pair{"body.", body_}, {"shortcut.", shortcut_}}) {
      if (tensor.starts_with(name)) return branch->dims_of(tensor.substr(std::strlen(name)));
    }
    return Layer::dims_of(tensor);
  }
  Waits waits() const override {
    const Waits body = body_->waits(), shortcut = shortcut_->waits();
    return {.forward = body.forward + shortcut.forward,
            .backward = body.backward + shortcut.backward};
  }

 private:
  std::shared_ptr<LayerSequence> body_;      // shared as LibTorch shares modules
  std::shared_ptr<LayerSequence> shortcut_;  // empty: the input itself
};

Shape summed_shape(const LayerSettings& settings, const Shape& input) {
  std::string body_last = "the residual's input", shortcut_last = body_last;
  const Shape body = shape_after(settings.layers.at("residual"), input, "in residual", body_last);
  const Shape shortcut =
      shape_after(settings.layers.at("shortcut"), input, "in shortcut", shortcut_last);
  if (body != shortcut) {
    throw InvalidInput(fmt::format(
        "its layers give [{}] and its shortcut [{}], which cannot be added: give a shortcut such "
        "as [{{conv = ..., kernel = 1, stride = ...}}]",
        fmt::join(body, ", "), fmt::join(shortcut, ", ")));
  }
  return body;
}

}  // namespace

std::vector<LayerType> residual_layers() {
  using Kind = LayerSetting::Kind;
  return {{.name = "residual",
           .settings = {{.name = "residual", .kind = Kind::layers},
                        {.name = "shortcut", .kind = Kind::layers, .standard = 0}},
           .output_shape = summed_shape,
           .build = [](const LayerSettings& settings, const Shape& input,
                       const std::string& full_name) -> std::shared_ptr<Layer> {
             return std::make_shared<Residual>(
                 build_sequence(settings.layers.at("residual"), input, full_name + ".body"),
                 build_sequence(settings.layers.at("shortcut"), input, full_name + ".shortcut"));
           }}};
}

}  // namespace shoal

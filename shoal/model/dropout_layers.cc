// Dropout without state: a sample's mask depends on (seed, layer, step, sample's index in the data
// set) only, so it is the same under every plan, and again when a forward is repeated.
// Source: Srivastava et al., Dropout, JMLR 2014; channels: Tompson et al., CVPR 2015, section 3.2.
#include <fmt/format.h>

#include <span>

#include "shoal/core/check.h"
#include "shoal/core/philox.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

class Dropout final : public Layer {
 public:
  Dropout(double rate, bool whole_channels, std::string full_name)
      : rate_(rate), whole_channels_(whole_channels), full_name_(std::move(full_name)) {}

  at::Tensor forward(const at::Tensor& x, const Context& context, bool may_overwrite) override {
    if (!context.training() || rate_ == 0) return x;
    const at::Tensor mask = keep_mask(x, context).to(x.options());
    return may_overwrite ? x.mul_(mask) : x * mask;
  }
  bool output_is_free() const override { return true; }

 private:
  // 0 for what is dropped, 1 / (1 - rate) for what is kept, on the CPU; broadcasts over x.
  at::Tensor keep_mask(const at::Tensor& x, const Context& context) const {
    check(context.sample_ids != nullptr, "dropout needs the samples' indices in the data set");
    const auto& ids = *context.sample_ids;
    check_equal(static_cast<std::int64_t>(ids.size()), x.size(0),
                "number of sample indices against samples");
    Shape shape = x.sizes().vec();
    if (whole_channels_) std::fill(shape.begin() + 2, shape.end(), 1);
    at::Tensor mask = at::empty(shape, at::kFloat);
    if (mask.numel() == 0) return mask;
    const std::size_t per_sample = static_cast<std::size_t>(mask.numel()) / ids.size();
    const std::span<float> all(mask.mutable_data_ptr<float>(), ids.size() * per_sample);
    const RandomStream stream(context.seed, full_name_);
    const float rate = static_cast<float>(rate_);
    const float scale = static_cast<float>(1 / (1 - rate_));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto own = all.subspan(i * per_sample, per_sample);
      // 32 bits of the index: data sets stay below 2^32 samples.
      stream.at(static_cast<std::uint64_t>(context.step), static_cast<std::uint32_t>(ids[i]))
          .uniform(own);
      for (float& u : own) u = u >= rate ? scale : 0.0F;
    }
    return mask;
  }

  double rate_;
  bool whole_channels_;
  std::string full_name_;
};

LayerType dropout(const std::string& name, bool whole_channels) {
  return {.name = name,
          .settings = {{.name = name, .kind = LayerSetting::Kind::number, .low = 0, .high = 1}},
          .output_shape =
              [whole_channels](const LayerSettings&, const Shape& input) {
                if (whole_channels) require_image(input);
                return input;
              },
          .build =
              [name, whole_channels](const LayerSettings& settings, const Shape&,
                                     const std::string& full_name) {
                return std::make_shared<Dropout>(settings.number(name), whole_channels, full_name);
              }};
}

}  // namespace

std::vector<LayerType> dropout_layers() {
  return {dropout("dropout", false), dropout("dropout2d", true), dropout("channel_dropout", true)};
}

}  // namespace shoal

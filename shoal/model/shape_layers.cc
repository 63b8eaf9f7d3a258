// Layers that change the shape and have no weights: pools, subsample, flatten, reshape.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "shoal/core/error.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

class Pool final : public Layer {
 public:
  Pool(bool takes_largest, std::int64_t window, std::int64_t stride, std::int64_t padding)
      : takes_largest_(takes_largest), window_(window), stride_(stride), padding_(padding) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    const std::array<std::int64_t, 2> window{window_, window_}, stride{stride_, stride_},
        padding{padding_, padding_};
    return takes_largest_ ? at::max_pool2d(x, window, stride, padding)
                          : at::avg_pool2d(x, window, stride, padding);
  }
  bool output_is_free() const override { return true; }

 private:
  bool takes_largest_;
  std::int64_t window_;
  std::int64_t stride_;
  std::int64_t padding_;  // with what does not count for the largest, with zeros in a mean
};

// The mean of each channel.
class GlobalAvgPool final : public Layer {
 public:
  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
  }
};

// Every so manieth row and column, and channels of zeros after those there are.
// Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 3.3 (A).
class Subsample final : public Layer {
 public:
  Subsample(std::int64_t every, std::int64_t new_channels)
      : every_(every), new_channels_(new_channels) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    const at::Tensor some = x.slice(2, 0, c10::nullopt, every_).slice(3, 0, c10::nullopt, every_);
    return at::constant_pad_nd(some, {0, 0, 0, 0, 0, new_channels_});
  }
  bool output_is_free() const override { return true; }

 private:
  std::int64_t every_;
  std::int64_t new_channels_;
};

class Reshape final : public Layer {
 public:
  explicit Reshape(const Shape& sample) : sample_(sample) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    Shape shape{x.size(0)};
    shape.insert(shape.end(), sample_.begin(), sample_.end());
    return x.reshape(shape);
  }

 private:
  Shape sample_;
};

// Sizes come from a job file: a product beyond 2^62 is no shape.
std::int64_t elements_of(const Shape& shape) {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(product, size, &product)) {
      throw InvalidInput(fmt::format("[{}] has too many elements", fmt::join(shape, ", ")));
    }
  }
  return product;
}

LayerType pool(const std::string& name, bool takes_largest) {
  // A stride that is not given is the window: windows side by side.
  const auto stride = [name](const LayerSettings& settings) {
    return settings.whole("stride") > 0 ? settings.whole("stride") : settings.whole(name);
  };
  return {
      .name = name,
      .settings = {{.name = name, .high = 1 << 10},
                   {.name = "stride", .standard = 0, .low = 0, .high = 1 << 10},
                   {.name = "padding", .standard = 0, .low = 0, .high = 1 << 9}},
      .output_shape =
          [name, stride](const LayerSettings& settings, const Shape& input) {
            require_image(input);
            const std::int64_t window = settings.whole(name), padding = settings.whole("padding");
            if (2 * padding > window) {
              throw InvalidInput(fmt::format(
                  "its padding of {} is more than half of its window of {}", padding, window));
            }
            const std::int64_t high = input[1] + 2 * padding, wide = input[2] + 2 * padding;
            if (window > high || window > wide) {
              throw InvalidInput(fmt::format("its window of {} is larger than the image", window));
            }
            return Shape{input[0], (high - window) / stride(settings) + 1,
                         (wide - window) / stride(settings) + 1};
          },
      .build =
          [name, takes_largest, stride](const LayerSettings& settings, const Shape&,
                                        const std::string&) {
            return std::make_shared<Pool>(takes_largest, settings.whole(name), stride(settings),
                                          settings.whole("padding"));
          }};
}

LayerType subsample() {
  return {
      .name = "subsample",
      .settings = {{.name = "subsample", .high = 1 << 10}, {.name = "channels", .high = 1 << 20}},
      .output_shape =
          [](const LayerSettings& settings, const Shape& input) {
            require_image(input);
            const std::int64_t channels = settings.whole("channels");
            if (channels < input[0]) {
              throw InvalidInput(fmt::format(
                  "it cannot leave out channels: give {} or more, not {}", input[0], channels));
            }
            const std::int64_t every = settings.whole("subsample");
            return Shape{channels, (input[1] + every - 1) / every, (input[2] + every - 1) / every};
          },
      .build =
          [](const LayerSettings& settings, const Shape& input, const std::string&) {
            return std::make_shared<Subsample>(settings.whole("subsample"),
                                               settings.whole("channels") - input[0]);
          }};
}

}  // namespace

Shape same_shape(const LayerSettings& /*settings*/, const Shape& input) { return input; }

void require_image(const Shape& input) {
  if (input.size() != 3) throw InvalidInput("it takes [channels, height, width]");
}

void require_rows(const Shape& input) {
  if (input.size() == 1 || input.size() == 2) return;
  throw InvalidInput(
      "it takes one row of features, or one at each position: put \"flatten\" before it");
}

std::vector<LayerType> shape_layers() {
  const LayerType flatten{
      .name = "flatten",
      .settings = {},
      .output_shape = [](const LayerSettings&,
                         const Shape& input) { return Shape{elements_of(input)}; },
      .build =
          [](const LayerSettings&, const Shape& input, const std::string&) {
            return std::make_shared<Reshape>(Shape{elements_of(input)});
          }};
  const LayerType reshape{
      .name = "reshape",
      .settings = {{.name = "reshape", .kind = LayerSetting::Kind::sizes}},
      .output_shape =
          [](const LayerSettings& settings, const Shape& input) {
            if (elements_of(settings.sizes) != elements_of(input)) {
              throw InvalidInput(fmt::format("[{}] has another number of elements",
                                             fmt::join(settings.sizes, ", ")));
            }
            return settings.sizes;
          },
      .build = [](const LayerSettings& settings, const Shape&,
                  const std::string&) { return std::make_shared<Reshape>(settings.sizes); }};
  const LayerType global_avg_pool{
      .name = "global_avg_pool",
      .settings = {},
      .output_shape =
          [](const LayerSettings&, const Shape& input) {
            require_image(input);
            return Shape{input[0]};
          },
      .build = [](const LayerSettings&, const Shape&,
                  const std::string&) { return std::make_shared<GlobalAvgPool>(); }};
  return {
      pool("pool", true), pool("avg_pool", false), global_avg_pool, subsample(), flatten, reshape};
}

}  // namespace shoal

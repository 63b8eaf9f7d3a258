// Layers that change the shape and have no weights: pools, flatten, reshape.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/core/error.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

class Pool final : public Layer {
 public:
  Pool(bool takes_largest, std::int64_t window, std::int64_t stride)
      : takes_largest_(takes_largest), window_(window), stride_(stride) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return takes_largest_ ? at::max_pool2d(x, {window_, window_}, {stride_, stride_})
                          : at::avg_pool2d(x, {window_, window_}, {stride_, stride_});
  }
  bool output_is_free() const override { return true; }

 private:
  bool takes_largest_;
  std::int64_t window_;
  std::int64_t stride_;
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
                   {.name = "stride", .standard = 0, .low = 0, .high = 1 << 10}},
      .output_shape =
          [name, stride](const LayerSettings& settings, const Shape& input) {
            require_image(input);
            const std::int64_t window = settings.whole(name);
            if (window > input[1] || window > input[2]) {
              throw InvalidInput(fmt::format("its window of {} is larger than the image", window));
            }
            return Shape{input[0], (input[1] - window) / stride(settings) + 1,
                         (input[2] - window) / stride(settings) + 1};
          },
      .build =
          [name, takes_largest, stride](const LayerSettings& settings, const Shape&,
                                        const std::string&) {
            return std::make_shared<Pool>(takes_largest, settings.whole(name), stride(settings));
          }};
}

}  // namespace

Shape same_shape(const LayerSettings& /*settings*/, const Shape& input) { return input; }

void require_image(const Shape& input) {
  if (input.size() != 3) throw InvalidInput("it takes [channels, height, width]");
}

void require_features(const Shape& input) {
  if (input.size() != 1)
    throw InvalidInput("it takes one row of features: put \"flatten\" before it");
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
  return {pool("pool", true), pool("avg_pool", false), flatten, reshape};
}

}  // namespace shoal

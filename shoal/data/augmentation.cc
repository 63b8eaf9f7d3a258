#include "shoal/data/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

RandomStream stream_at(const RandomStream& stream, const SampleAt& at) {
  check(at.step >= 0 && at.row >= 0 && at.row <= std::int64_t{0xFFFFFFFF},
        "steps and rows count from 0, rows in 32 bits");
  return stream.at(static_cast<std::uint64_t>(at.step), static_cast<std::uint32_t>(at.row));
}

// Uniform in (0, 1), 32 bits.
double uniform(const RandomStream& stream, std::uint64_t element) {
  return (static_cast<double>(stream.bits(element)) + 0.5) * 0x1p-32;
}

double between(const RandomStream& stream, std::uint64_t element, double from, double to) {
  return from + (to - from) * uniform(stream, element);
}

// 0..count-1. With counts of pixels and samples the bias of 32 bits is below one in 2^32 / count.
std::int64_t below(const RandomStream& stream, std::uint64_t element, std::int64_t count) {
  return static_cast<std::int64_t>(
      std::uint64_t{stream.bits(element)} * static_cast<std::uint64_t>(count) >> 32);
}

// Logarithm of a number drawn from Gamma(shape, 1): of small shapes the number itself is 0 in
// double. Takes elements from `first` on. Source: Marsaglia and Tsang, A Simple Method for
// Generating Gamma Variables, ACM TOMS 2000.
double log_gamma(const RandomStream& stream, std::uint64_t first, double shape) {
  if (shape < 1) {
    return log_gamma(stream, first + 1, shape + 1) + std::log(uniform(stream, first)) / shape;
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (std::uint64_t element = first;; element += 3) {
    const double normal = std::sqrt(-2 * std::log(uniform(stream, element))) *
                          std::cos(2 * std::numbers::pi * uniform(stream, element + 1));
    const double cube = std::pow(1 + c * normal, 3);
    if (cube <= 0) continue;
    const double limit = normal * normal / 2 + d - d * cube + d * std::log(cube);
    if (std::log(uniform(stream, element + 2)) < limit) return std::log(d * cube);
  }
}

}  // namespace

Augmentation::Augmentation(const AugmentOptions& options, std::uint64_t seed)
    : options_(options),
      crops_(seed, "augment.crop"),
      flips_(seed, "augment.flip"),
      colors_(seed, "augment.colors"),
      mixtures_(seed, "augment.mixup") {
  require_none(options.problems());
}

PictureCut Augmentation::cut(const SampleAt& at, PictureSize picture, const PictureCut& plain,
                             PictureSize window) const {
  PictureCut cut = plain;
  switch (options_.crop) {
    case RandomCrop::none:
      break;
    case RandomCrop::padded: {
      const RandomStream stream = stream_at(crops_, at);
      const int border = options_.padding;
      const int down = cut.resized.height + 2 * border - window.height;
      const int across = cut.resized.width + 2 * border - window.width;
      check(down >= 0 && across >= 0, "a picture is not smaller than its sample");
      cut.top = static_cast<int>(below(stream, 0, down + 1)) - border;
      cut.left = static_cast<int>(below(stream, 1, across + 1)) - border;
      break;
    }
    case RandomCrop::resized:
      cut = {.box = random_box(stream_at(crops_, at), picture), .resized = window};
      break;
  }
  if (options_.flip > 0) cut.mirrored = uniform(stream_at(flips_, at), 0) < options_.flip;
  return cut;
}

PictureCut::Box Augmentation::random_box(const RandomStream& stream, PictureSize picture) const {
  const double area = static_cast<double>(picture.height) * picture.width;
  constexpr std::uint64_t kTries = 10;
  for (std::uint64_t draw = 0; draw < kTries; ++draw) {
    const std::uint64_t element = 4 * draw;
    const double part = area * between(stream, element, options_.scale[0], options_.scale[1]);
    const double ratio = std::exp(
        between(stream, element + 1, std::log(options_.ratio[0]), std::log(options_.ratio[1])));
    const auto width = static_cast<int>(std::lround(std::sqrt(part * ratio)));
    const auto height = static_cast<int>(std::lround(std::sqrt(part / ratio)));
    if (width < 1 || height < 1 || width > picture.width || height > picture.height) continue;
    return {.top = static_cast<int>(below(stream, element + 2, picture.height - height + 1)),
            .left = static_cast<int>(below(stream, element + 3, picture.width - width + 1)),
            .height = height,
            .width = width};
  }
  const double whole = static_cast<double>(picture.width) / picture.height;
  const double ratio = std::clamp(whole, options_.ratio[0], options_.ratio[1]);
  int width = picture.width;
  int height = picture.height;
  if (whole > ratio) {
    width = std::max(1, static_cast<int>(std::lround(picture.height * ratio)));
  } else if (whole < ratio) {
    height = std::max(1, static_cast<int>(std::lround(picture.width / ratio)));
  }
  return {.top = (picture.height - height) / 2,
          .left = (picture.width - width) / 2,
          .height = height,
          .width = width};
}

ColorChange Augmentation::colors(const SampleAt& at) const {
  ColorChange change;
  if (!options_.changes_colors()) return change;
  const RandomStream stream = stream_at(colors_, at);
  const auto factor = [&](std::uint64_t element, double by) {
    return by == 0 ? 1.0 : between(stream, element, std::max(0.0, 1 - by), 1 + by);
  };
  change.brightness = factor(0, options_.brightness);
  change.contrast = factor(1, options_.contrast);
  change.saturation = factor(2, options_.saturation);
  change.hue = options_.hue == 0 ? 0.0 : between(stream, 3, -options_.hue, options_.hue);
  for (std::size_t i = change.order.size() - 1; i > 0; --i) {
    const auto other = static_cast<std::size_t>(below(stream, 3 + i, static_cast<int>(i) + 1));
    std::swap(change.order[i], change.order[other]);
  }
  return change;
}

Augmentation::Mixture Augmentation::mixture(const SampleAt& at, std::int64_t samples) const {
  const RandomStream stream = stream_at(mixtures_, at);
  // Beta(a, a) is G / (G + H) of two numbers from Gamma(a).
  constexpr std::uint64_t kOwn = 1;
  constexpr std::uint64_t kOther = std::uint64_t{1} << 20;
  const double own = log_gamma(stream, kOwn, options_.mixup);
  const double other = log_gamma(stream, kOther, options_.mixup);
  return {.share = 1 / (1 + std::exp(other - own)), .partner = below(stream, 0, samples)};
}

}  // namespace shoal

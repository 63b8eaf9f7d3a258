#include "shoal/data/augment_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace shoal {
namespace {

using Faults = std::vector<std::string>;

void check_interval(const char* key, const std::vector<double>& interval, double most,
                    Faults& faults) {
  const bool good =
      interval.size() == 2 && interval[0] > 0 && interval[0] <= interval[1] && interval[1] <= most;
  if (good) return;
  faults.push_back(fmt::format("augment.{} is [{}]: give [from, to] with 0 < from <= to <= {}", key,
                               fmt::join(interval, ", "), most));
}

}  // namespace

std::vector<std::string> AugmentOptions::problems() const {
  Faults faults;
  const auto check_number = [&](const char* key, double value, double most) {
    if (value >= 0 && value <= most) return;
    faults.push_back(fmt::format("augment.{} is {}: give 0 to {}", key, value, most));
  };
  constexpr int kMostPadding = 1 << 12;
  if (padding < 1 || padding > kMostPadding) {
    faults.push_back(
        fmt::format("augment.padding is {}: give 1 to {} pixels", padding, kMostPadding));
  }
  constexpr double kMostRatio = 100;
  check_interval("scale", scale, 1, faults);
  check_interval("ratio", ratio, kMostRatio, faults);
  constexpr double kMostFactor = 10;
  check_number("flip", flip, 1);
  check_number("brightness", brightness, kMostFactor);
  check_number("contrast", contrast, kMostFactor);
  check_number("saturation", saturation, kMostFactor);
  check_number("hue", hue, 0.5);
  constexpr double kMostAlpha = 100;
  check_number("mixup", mixup, kMostAlpha);
  return faults;
}

OptionTable describe(AugmentOptions& o) {
  return {
      "augment",
      "Alters training samples at random: the same samples in the same way for any number of "
      "workers and threads, and after a resume; never in an evaluation.",
      {
          choice(
              "crop", o.crop,
              {{"none", RandomCrop::none},
               {"padded", RandomCrop::padded},
               {"resized", RandomCrop::resized}},
              "\"padded\": a window of the sample's size out of the picture with a black border, "
              "as in CIFAR recipes; \"resized\": a box of random area and shape, resized to the "
              "sample's size, as in ImageNet recipes."),
          only_with({"crop", {"padded"}},
                    option("padding", o.padding, "Width of the border in pixels.")),
          only_with({"crop", {"resized"}},
                    option("scale", o.scale, "Least and largest share of the picture's area.")),
          only_with({"crop", {"resized"}},
                    option("ratio", o.ratio, "Least and largest width over height.")),
          option("flip", o.flip, "Probability that left and right change places."),
          option("brightness", o.brightness,
                 "Colours times a factor of max(0, 1 - x) to 1 + x, as torchvision's ColorJitter."),
          option("contrast", o.contrast, "Likewise, away from the picture's mean grey."),
          option("saturation", o.saturation, "Likewise, away from each pixel's grey."),
          option("hue", o.hue, "Colours turned by up to this share of the circle: 0 to 0.5."),
          option("mixup", o.mixup,
                 "Each sample is mixed with another one; its own share is drawn from Beta(mixup, "
                 "mixup), and the loss is the sum of both labels' by their shares. Costs as much "
                 "reading again. 0: none."),
      }};
}

}  // namespace shoal

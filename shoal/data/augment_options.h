// What a job's [augment] table says: how training samples are altered at random. Evaluation and
// prediction never alter them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

enum class RandomCrop : std::uint8_t {
  none,
  padded,   // a window of the sample's size out of the picture with a black border (CIFAR recipes)
  resized,  // a box of random area and shape, resized to the sample's size (ImageNet recipes)
};

struct AugmentOptions {
  RandomCrop crop = RandomCrop::none;
  int padding = 4;                              // padded: black pixels on each side
  std::vector<double> scale = {0.08, 1.0};      // resized: share of the picture's area, from and to
  std::vector<double> ratio = {0.75, 4.0 / 3};  // resized: width over height, from and to
  double flip = 0;                              // probability that left and right change places

  // As torchvision's ColorJitter: factors from max(0, 1 - x) to 1 + x; hue turns by up to +-x.
  double brightness = 0;
  double contrast = 0;
  double saturation = 0;
  double hue = 0;  // at most 0.5

  // Each sample is mixed with another one; its own share is drawn from Beta(mixup, mixup). 0: none.
  // Costs as much reading again. Source: Zhang et al., mixup, ICLR 2018, section 2.
  double mixup = 0;

  bool changes_colors() const {
    return brightness != 0 || contrast != 0 || saturation != 0 || hue != 0;
  }
  bool alters_pictures() const { return crop != RandomCrop::none || flip != 0 || changes_colors(); }
  bool any() const { return alters_pictures() || mixup != 0; }

  // Every fault, in words a user can act on; empty when usable.
  std::vector<std::string> problems() const;
};

OptionTable describe(AugmentOptions& options);  // [augment]

}  // namespace shoal

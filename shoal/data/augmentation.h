// What chance does to a training sample. All of it depends on (seed, step, sample) alone, so that
// the same bits come out for any number of workers and threads, in any order, and after a resume.
#pragma once

#include <cstdint>

#include "shoal/core/philox.h"
#include "shoal/data/augment_options.h"
#include "shoal/data/color_jitter.h"
#include "shoal/data/picture.h"

namespace shoal {

// Which sample and when: `row` is its number in the data set as stored in its files.
struct SampleAt {
  std::int64_t step = 0;
  std::int64_t row = 0;
};

// Immutable: all calls may run in several threads at once.
class Augmentation {
 public:
  // Throws InvalidInput for options with problems().
  Augmentation(const AugmentOptions& options, std::uint64_t seed);
  const AugmentOptions& options() const { return options_; }

  // The part of a picture that becomes the sample; `plain` is the cut of an evaluation, `window`
  // the sample's size. padded: every window of the resized picture with its border is as likely as
  // any other. resized: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6, in
  // the form of torchvision's RandomResizedCrop: ten tries, then the largest box of an allowed
  // shape in the middle.
  PictureCut cut(const SampleAt& at, PictureSize picture, const PictureCut& plain,
                 PictureSize window) const;

  // As torchvision's ColorJitter, the order of the four included.
  ColorChange colors(const SampleAt& at) const;

  struct Mixture {
    double share = 1;          // of the sample itself, 0..1
    std::int64_t partner = 0;  // 0..samples-1
  };
  // The partner among `samples` samples, itself included, and the shares.
  Mixture mixture(const SampleAt& at, std::int64_t samples) const;

 private:
  PictureCut::Box random_box(const RandomStream& stream, PictureSize picture) const;

  AugmentOptions options_;
  RandomStream crops_;
  RandomStream flips_;
  RandomStream colors_;
  RandomStream mixtures_;
};

}  // namespace shoal

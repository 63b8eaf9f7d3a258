#include "shoal/data/color_jitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace shoal {
namespace {

using testing::FloatNear;
using testing::Pointwise;

// Four pixels: two colours, a grey and a deep blue.
std::vector<float> changed(const ColorChange& change) {
  std::vector<float> rgb = {0.1f, 0.9f, 0.5f, 0.0f, 0.7f, 0.3f, 0.5f, 0.2f, 0.4f, 0.6f, 0.5f, 1.0f};
  change_colors(change, 3, rgb);
  return rgb;
}

// The expected values come from torchvision's formulas (_functional_tensor.py), written in NumPy.
TEST(ColorJitter, ChangesBrightness) {
  EXPECT_THAT(changed({.brightness = 1.4}),
              Pointwise(FloatNear(1e-6f), {0.14f, 1.0f, 0.7f, 0.0f, 0.98f, 0.42f, 0.7f, 0.28f,
                                           0.56f, 0.84f, 0.7f, 1.0f}));
}

TEST(ColorJitter, ChangesContrastAroundThePicturesMeanGrey) {
  EXPECT_THAT(
      changed({.contrast = 1.6}),
      Pointwise(FloatNear(2e-6f), {0.0f, 1.0f, 0.540312f, 0.0f, 0.860312f, 0.220312f, 0.540312f,
                                   0.060313f, 0.380313f, 0.700312f, 0.540312f, 1.0f}));
}

TEST(ColorJitter, ChangesSaturationAroundEachPixelsGrey) {
  EXPECT_THAT(
      changed({.saturation = 0.4}),
      Pointwise(FloatNear(2e-6f), {0.331834f, 0.668106f, 0.49997f, 0.13884f, 0.571834f, 0.428106f,
                                   0.49997f, 0.21884f, 0.451834f, 0.548106f, 0.49997f, 0.53884f}));
  EXPECT_THAT(
      changed({.saturation = 1.8}),
      Pointwise(FloatNear(2e-6f), {0.0f, 1.0f, 0.50004f, 0.0f, 0.870888f, 0.129192f, 0.50004f,
                                   0.17488f, 0.330888f, 0.669192f, 0.50004f, 1.0f}));
}

TEST(ColorJitter, TurnsTheHue) {
  EXPECT_THAT(changed({.hue = 0.3}),
              Pointwise(FloatNear(2e-6f), {0.28f, 0.72f, 0.5f, 1.0f, 0.1f, 0.9f, 0.5f, 0.0f, 0.7f,
                                           0.3f, 0.5f, 0.4f}));
  EXPECT_THAT(changed({.hue = -0.45}),
              Pointwise(FloatNear(2e-6f), {0.7f, 0.3f, 0.5f, 0.9f, 0.1f, 0.9f, 0.5f, 1.0f, 0.22f,
                                           0.78f, 0.5f, 0.0f}));
}

TEST(ColorJitter, ActsInTheOrderGiven) {
  using enum ColorStep;
  EXPECT_THAT(changed({.brightness = 1.2, .hue = 0.1}),
              Pointwise(FloatNear(2e-6f), {0.12f, 1.0f, 0.6f, 0.36f, 0.768f, 0.384f, 0.6f, 0.0f,
                                           0.84f, 0.36f, 0.6f, 1.0f}));
  EXPECT_THAT(
      changed({.brightness = 1.2, .hue = 0.1, .order = {hue, contrast, saturation, brightness}}),
      Pointwise(FloatNear(2e-6f),
                {0.12f, 1.0f, 0.6f, 0.48f, 0.768f, 0.432f, 0.6f, 0.0f, 0.84f, 0.36f, 0.6f, 1.0f}));
}

TEST(ColorJitter, OfGreyHasNeitherSaturationNorHue) {
  std::vector<float> grey = {0.1f, 0.9f, 0.5f, 0.0f};
  change_colors({.contrast = 0.5, .saturation = 0.1, .hue = 0.4}, 1, grey);
  EXPECT_THAT(grey, Pointwise(FloatNear(1e-6f), {0.2375f, 0.6375f, 0.4375f, 0.1875f}));
}

}  // namespace
}  // namespace shoal

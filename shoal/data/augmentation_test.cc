#include "shoal/data/augmentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "shoal/core/test_options.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr PictureSize kSize{.height = 32, .width = 32};
constexpr PictureCut kPlain{.box = {.height = 32, .width = 32}, .resized = kSize};
constexpr int kDraws = 20'000;

TEST(AugmentOptions, AreUsableAsTheyAre) {
  EXPECT_THAT(AugmentOptions().problems(), IsEmpty());
  EXPECT_FALSE(AugmentOptions().any());
}

TEST(AugmentOptions, ComeFromAJobFile) {
  AugmentOptions options;
  read_toml(
      "[augment]\ncrop = \"resized\"\nscale = [0.5, 1]\nratio = [1, 2]\nflip = 0.5\n"
      "brightness = 0.1\ncontrast = 0.2\nsaturation = 0.3\nhue = 0.4\nmixup = 0.2\npadding = 2\n",
      "job.toml", {describe(options)});
  EXPECT_EQ(options.crop, RandomCrop::resized);
  EXPECT_THAT(options.scale, ElementsAre(0.5, 1));
  EXPECT_THAT(options.ratio, ElementsAre(1, 2));
  EXPECT_EQ(options.flip, 0.5);
  EXPECT_EQ(options.brightness, 0.1);
  EXPECT_EQ(options.contrast, 0.2);
  EXPECT_EQ(options.saturation, 0.3);
  EXPECT_EQ(options.hue, 0.4);
  EXPECT_EQ(options.mixup, 0.2);
  EXPECT_THAT(options.problems(), IsEmpty());
  AugmentOptions standard;
  EXPECT_THAT(idle_keys(describe(options).options, describe(standard).options),
              ElementsAre("padding"));
}

TEST(AugmentOptions, RefuseEachImpossibleValue) {
  AugmentOptions options;
  options.padding = 0;
  options.scale = {0.5, 1.5};
  options.ratio = {2, 1};
  options.flip = 1.1;
  options.brightness = -1;
  options.contrast = std::nan("");
  options.saturation = 11;
  options.hue = 0.6;
  options.mixup = -0.1;
  EXPECT_THAT(
      options.problems(),
      ElementsAre(HasSubstr("augment.padding is 0"),
                  HasSubstr("augment.scale is [0.5, 1.5]: give [from, to]"),
                  HasSubstr("augment.ratio is [2, 1]"), HasSubstr("augment.flip is 1.1"),
                  HasSubstr("augment.brightness is -1"), HasSubstr("augment.contrast is nan"),
                  HasSubstr("augment.saturation is 11"), HasSubstr("augment.hue is 0.6"),
                  HasSubstr("augment.mixup is -0.1")));
  options = {};
  options.scale = {0.5};
  EXPECT_THAT(options.problems(), Contains(HasSubstr("augment.scale is [0.5]")));
}

TEST(Augmentation, DependsOnSeedStepAndRowAlone) {
  const AugmentOptions options{.crop = RandomCrop::padded, .flip = 0.5, .hue = 0.5, .mixup = 0.3};
  const Augmentation a(options, 7);
  const auto draw = [&](const Augmentation& from, std::int64_t step, std::int64_t row) {
    const SampleAt at{.step = step, .row = row};
    const auto cut = from.cut(at, kSize, kPlain, kSize);
    const auto mixture = from.mixture(at, 1'000'000);
    return std::tuple(cut.top, cut.left, cut.mirrored, from.colors(at).hue, mixture.share,
                      mixture.partner);
  };
  EXPECT_EQ(draw(a, 3, 5), draw(Augmentation(options, 7), 3, 5));
  EXPECT_NE(draw(a, 3, 5), draw(Augmentation(options, 8), 3, 5));
  EXPECT_NE(draw(a, 3, 5), draw(a, 4, 5));
  EXPECT_NE(draw(a, 3, 5), draw(a, 3, 6));
  EXPECT_NE(draw(a, 3, 5), draw(a, 5, 3));
}

TEST(Augmentation, OfNothingChangesNothing) {
  const Augmentation none({.mixup = 1}, 7);
  EXPECT_EQ(none.cut({.step = 1, .row = 2}, kSize, kPlain, kSize), kPlain);
  EXPECT_FALSE(none.colors({.step = 1, .row = 2}).changes());
}

TEST(Augmentation, TakesEveryPaddedWindowAsOften) {
  const Augmentation padded({.crop = RandomCrop::padded, .padding = 1, .flip = 0.25}, 7);
  std::map<std::pair<int, int>, int> counts;
  int mirrored = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto cut = padded.cut({.step = i / 100, .row = i % 100}, kSize, kPlain, kSize);
    ++counts[{cut.top, cut.left}];
    mirrored += cut.mirrored;
    EXPECT_EQ(cut.box, kPlain.box);
  }
  ASSERT_EQ(counts.size(), 9u);
  EXPECT_EQ(counts.begin()->first, std::pair(-1, -1));
  double chi_squared = 0;
  for (const auto& [corner, count] : counts) {
    chi_squared += std::pow(count - kDraws / 9.0, 2) / (kDraws / 9.0);
  }
  EXPECT_LT(chi_squared, 26.1);  // 8 degrees of freedom, p = 0.001
  EXPECT_NEAR(mirrored, kDraws / 4.0, 4 * std::sqrt(kDraws * 0.25 * 0.75));
}

TEST(Augmentation, TakesBoxesOfTheAskedAreaAndShape) {
  const PictureSize picture{.height = 400, .width = 500};
  const Augmentation resized({.crop = RandomCrop::resized, .scale = {0.1, 0.5}, .ratio = {0.5, 2}},
                             7);
  double areas = 0;
  double ratios = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto cut = resized.cut({.step = i, .row = 3}, picture, {}, kSize);
    const auto& box = cut.box;
    ASSERT_TRUE(box.top >= 0 && box.left >= 0 && box.top + box.height <= 400 &&
                box.left + box.width <= 500);
    EXPECT_EQ(cut.resized, kSize);
    const double area = box.height * box.width / 200'000.0;
    const double ratio = static_cast<double>(box.width) / box.height;
    ASSERT_TRUE(area > 0.098 && area < 0.503) << area;
    ASSERT_TRUE(ratio > 0.49 && ratio < 2.04) << ratio;
    areas += area;
    ratios += std::log(ratio);
  }
  // Uniform areas, and shapes uniform in their logarithm; tall boxes of half the area do not fit.
  EXPECT_NEAR(areas / kDraws, 0.3, 0.006);
  EXPECT_NEAR(ratios / kDraws, 0, 0.05);
}

TEST(Augmentation, TakesTheMiddleWhereNoBoxFits) {
  const Augmentation square({.crop = RandomCrop::resized, .scale = {1, 1}, .ratio = {1, 1}}, 7);
  EXPECT_EQ(square.cut({}, {.height = 20, .width = 50}, {}, kSize).box,
            (PictureCut::Box{0, 15, 20, 20}));
  EXPECT_EQ(square.cut({}, {.height = 50, .width = 20}, {}, kSize).box,
            (PictureCut::Box{15, 0, 20, 20}));
}

TEST(Augmentation, DrawsFactorsAndOrdersEvenly) {
  const Augmentation colors({.brightness = 0.4, .contrast = 1.5, .saturation = 0.2, .hue = 0.1}, 7);
  std::map<std::array<ColorStep, 4>, int> orders;
  double brightness = 0;
  double least_contrast = 9;
  double hue = 0;
  for (int i = 0; i < kDraws; ++i) {
    const ColorChange change = colors.colors({.step = i, .row = i % 7});
    ASSERT_TRUE(change.brightness >= 0.6 && change.brightness <= 1.4);
    ASSERT_TRUE(change.contrast >= 0 && change.contrast <= 2.5);
    ASSERT_TRUE(change.saturation >= 0.8 && change.saturation <= 1.2);
    ASSERT_TRUE(std::abs(change.hue) <= 0.1);
    brightness += change.brightness;
    least_contrast = std::min(least_contrast, change.contrast);
    hue += change.hue;
    ++orders[change.order];
  }
  EXPECT_NEAR(brightness / kDraws, 1, 0.008);
  EXPECT_LT(least_contrast, 0.01);
  EXPECT_NEAR(hue / kDraws, 0, 0.002);
  ASSERT_EQ(orders.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : orders) {
    chi_squared += std::pow(count - kDraws / 24.0, 2) / (kDraws / 24.0);
  }
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom, p = 0.001
}

// Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2a + 1)).
TEST(Augmentation, DrawsSharesFromBeta) {
  for (const double alpha : {0.01, 0.2, 1.0, 4.0}) {
    const Augmentation mixing({.mixup = alpha}, 7);
    double sum = 0;
    double squares = 0;
    std::set<std::int64_t> partners;
    for (int i = 0; i < kDraws; ++i) {
      const auto mixture = mixing.mixture({.step = i, .row = 5}, 10);
      ASSERT_TRUE(mixture.share >= 0 && mixture.share <= 1) << mixture.share;
      sum += mixture.share;
      squares += (mixture.share - 0.5) * (mixture.share - 0.5);
      partners.insert(mixture.partner);
    }
    const double variance = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(sum / kDraws, 0.5, 4 * std::sqrt(variance / kDraws)) << alpha;
    EXPECT_NEAR(squares / kDraws, variance, 0.03 * variance) << alpha;
    EXPECT_EQ(partners.size(), 10u);
    EXPECT_EQ(*partners.rbegin(), 9);
  }
}

}  // namespace
}  // namespace shoal

#include "shoal/data/resampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::FloatNear;
using testing::Pointwise;

TestPicture curved(int channels, int height, int width) {
  TestPicture picture(channels, height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        picture.at(y, x, c) =
            static_cast<std::uint8_t>((37 * y * y + 23 * x + 11 * x * y + c) % 256);
      }
    }
  }
  return picture;
}

PictureCut whole_to(const TestPicture& picture, int height, int width) {
  return {.box = {.height = picture.height, .width = picture.width},
          .resized = {.height = height, .width = width}};
}

std::vector<float> resampled(const TestPicture& picture, const PictureCut& cut,
                             PictureSize window) {
  std::vector<float> out(static_cast<std::size_t>(picture.channels * window.height * window.width));
  Resampler().resample(picture.view(), cut, window, out.data());
  return out;
}

// torch.nn.functional.interpolate(..., mode="bilinear", antialias=True) of PyTorch 2.13.
TEST(Resampler, AgreesWithPyTorch) {
  const TestPicture picture = curved(1, 5, 7);
  EXPECT_THAT(
      resampled(picture, whole_to(picture, 3, 4), {.height = 3, .width = 4}),
      Pointwise(FloatNear(2e-3f), {30.374f, 73.503f, 124.497f, 167.626f, 131.127f, 161.333f,
                                   100.773f, 154.873f, 111.340f, 167.309f, 97.594f, 163.803f}));
  const auto larger = resampled(picture, whole_to(picture, 8, 9), {.height = 8, .width = 9});
  const std::vector<float> fourth_row(larger.begin() + 27, larger.begin() + 36);
  EXPECT_THAT(fourth_row,
              Pointwise(FloatNear(2e-3f), {113.312f, 141.021f, 173.347f, 166.562f, 62.000f, 94.326f,
                                           126.653f, 158.979f, 186.688f}));
}

// Each value by itself, from the definition.
double value_at(const TestPicture& picture, const PictureCut& cut, int y, int x, int c) {
  const auto weight = [](int at, int size, int resized, int stored) {
    const double scale = static_cast<double>(size) / resized;
    const double reach = std::max(scale, 1.0);
    return std::max(0.0, 1 - std::abs(stored + 0.5 - (at + 0.5) * scale) / reach);
  };
  double sum = 0;
  double weights = 0;
  for (int i = 0; i < cut.box.height; ++i) {
    for (int j = 0; j < cut.box.width; ++j) {
      const double w = weight(y, cut.box.height, cut.resized.height, i) *
                       weight(x, cut.box.width, cut.resized.width, j);
      sum += w * picture.at(cut.box.top + i, cut.box.left + j, c);
      weights += w;
    }
  }
  return sum / weights;
}

TEST(Resampler, TakesWindowsOfBoxesMirroredAndBeyondTheBorder) {
  const TestPicture picture = curved(3, 19, 23);
  const PictureSize window{.height = 6, .width = 7};
  for (const PictureCut::Box box : {PictureCut::Box{0, 0, 19, 23}, PictureCut::Box{3, 5, 11, 9}}) {
    for (const PictureSize resized : {PictureSize{6, 7}, PictureSize{9, 30}, PictureSize{4, 5}}) {
      for (const int corner : {0, 2, -2}) {
        for (const bool mirrored : {false, true}) {
          const PictureCut cut{box, resized, corner, -corner, mirrored};
          const auto out = resampled(picture, cut, window);
          for (int c = 0; c < 3; ++c) {
            for (int y = 0; y < 6; ++y) {
              for (int x = 0; x < 7; ++x) {
                const int row = y + cut.top;
                const int column = (mirrored ? 6 - x : x) + cut.left;
                const bool inside =
                    row >= 0 && row < resized.height && column >= 0 && column < resized.width;
                ASSERT_NEAR(out[static_cast<std::size_t>((c * 6 + y) * 7 + x)],
                            inside ? value_at(picture, cut, row, column, c) : 0.0, 1e-3);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace shoal

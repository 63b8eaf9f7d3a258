#include "shoal/data/picture_renderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::ElementsAreArray;

// The same pixels, a channel after the other: these are looked up in a table, one by one.
std::vector<std::uint8_t> planes_of(const TestPicture& picture) {
  std::vector<std::uint8_t> planes;
  for (int c = 0; c < picture.channels; ++c) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) planes.push_back(picture.at(y, x, c));
    }
  }
  return planes;
}

TestPicture noise(int height, int width, std::mt19937& random) {
  TestPicture picture(3, height, width);
  for (auto& byte : picture.bytes) byte = static_cast<std::uint8_t>(random());
  return picture;
}

TEST(PictureRenderer, GivesTheFloatsOfATableForRowsOfAnyLengthAndCut) {
  std::mt19937 random(5);
  const auto below = [&](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  const Scaling scalings[] = {
      {.unit = 1, .normalization = {}},
      {.unit = 1.0 / 255, .normalization = {.mean = {0.3}, .deviation = {0.7}}},
      {.unit = 1.0 / 255,
       .normalization = {.mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}}}};
  for (int i = 0; i < 300; ++i) {
    const TestPicture picture = noise(1 + below(9), 1 + below(70), random);
    const PictureSize window{.height = 1 + below(9), .width = 1 + below(70)};
    const PictureCut cut{.box = {.height = picture.height, .width = picture.width},
                         .resized = {.height = picture.height, .width = picture.width},
                         .top = below(5) - 2,
                         .left = below(9) - 4,
                         .mirrored = below(2) == 1};
    const PictureRenderer renderer({3, window.height, window.width}, scalings[i % 3]);
    const auto planes = planes_of(picture);
    std::vector<float> found(static_cast<std::size_t>(3 * window.height * window.width), -9);
    std::vector<float> expected = found;
    Resampler resampler;
    renderer.render(picture.view(), cut, {}, resampler, found);
    renderer.render(PictureView::planar(planes.data(), 3, picture.height, picture.width), cut, {},
                    resampler, expected);
    ASSERT_THAT(found, ElementsAreArray(expected)) << "picture " << i;
  }
}

// A slope whose line, rounded once, is not what dividing last gives for some byte.
TEST(PictureRenderer, GivesTheFloatsOfATableWhereALineDoesNot) {
  const Scaling odd{.unit = 1.0 / 255, .normalization = {.mean = {1e9}, .deviation = {1e-9}}};
  const TestPicture picture = gradient(3, 4, 64);
  const PictureRenderer renderer({3, 4, 64}, odd);
  std::vector<float> found(std::size_t{3} * 4 * 64);
  Resampler resampler;
  const PictureCut whole{.box = {.height = 4, .width = 64}, .resized = {.height = 4, .width = 64}};
  renderer.render(picture.view(), whole, {}, resampler, found);
  const ByteTable table = byte_tables(odd).at(0);
  for (int x = 0; x < 64; ++x) {
    EXPECT_EQ(found[static_cast<std::size_t>(x)], table[picture.at(0, x, 0)]);
  }
}

}  // namespace
}  // namespace shoal

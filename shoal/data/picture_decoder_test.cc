#include "shoal/data/picture_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "shoal/data/test_files.h"
#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class PictureDecoderTest : public testing::Test {
 protected:
  // Largest difference of a decoded file from what `expected` says of each pixel and channel.
  template <typename Expected>
  int largest_error(const std::string& file, int height, int width, const Expected& expected) {
    const PictureView view = decoder_.decode(bytes_of(file), "x");
    EXPECT_EQ(view.channels, 3);
    EXPECT_EQ(view.height, height);
    EXPECT_EQ(view.width, width);
    int largest = 0;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int found = view.bytes[c * view.to_channel + y * view.to_row + x * view.to_column];
          largest = std::max(largest, std::abs(found - expected(y, x, c)));
        }
      }
    }
    return largest;
  }
  std::string refused(const std::string& file) {
    return refusal([&] { decoder_.decode(bytes_of(file), "x.jpg"); });
  }
  PictureDecoder decoder_;
};

TEST_F(PictureDecoderTest, DecodesJpeg) {
  const TestPicture picture = gradient(3, 13, 21);
  const auto same = [&](int y, int x, int c) { return picture.at(y, x, c); };
  EXPECT_LE(largest_error(jpeg_file(picture), 13, 21, same), 2);
  EXPECT_LE(largest_error(jpeg_file(picture, /*progressive=*/true), 13, 21, same), 2);
}

TEST_F(PictureDecoderTest, GivesGreyJpegThreeChannels) {
  const TestPicture grey = gradient(1, 9, 8);
  EXPECT_LE(
      largest_error(jpeg_file(grey), 9, 8, [&](int y, int x, int) { return grey.at(y, x, 0); }), 1);
}

TEST_F(PictureDecoderTest, DecodesEveryFormOfPng) {
  const TestPicture rgb = gradient(3, 7, 5);
  const auto same = [&](int y, int x, int c) { return rgb.at(y, x, c); };
  EXPECT_EQ(largest_error(png_file(rgb), 7, 5, same), 0);
  EXPECT_EQ(largest_error(png_file(rgb, {.interlaced = true}), 7, 5, same), 0);
  EXPECT_EQ(largest_error(png_file(rgb, {.bits = 16}), 7, 5, same), 0);
  const TestPicture rgba = gradient(4, 7, 5);
  EXPECT_EQ(largest_error(png_file(rgba, {.type = PNG_COLOR_TYPE_RGB_ALPHA}), 7, 5,
                          [&](int y, int x, int c) { return rgba.at(y, x, c); }),
            0);
  const TestPicture grey = gradient(1, 7, 5);
  const auto of_grey = [&](int y, int x, int) { return grey.at(y, x, 0); };
  EXPECT_EQ(largest_error(png_file(grey, {.type = PNG_COLOR_TYPE_GRAY}), 7, 5, of_grey), 0);
  EXPECT_EQ(largest_error(png_file(grey, {.type = PNG_COLOR_TYPE_GRAY, .bits = 16}), 7, 5, of_grey),
            0);
  const TestPicture grey_alpha = gradient(2, 7, 5);
  EXPECT_EQ(largest_error(png_file(grey_alpha, {.type = PNG_COLOR_TYPE_GRAY_ALPHA}), 7, 5,
                          [&](int y, int x, int) { return grey_alpha.at(y, x, 0); }),
            0);
  EXPECT_EQ(largest_error(png_file(grey, {.type = PNG_COLOR_TYPE_PALETTE}), 7, 5,
                          [&](int y, int x, int c) {
                            const int value = grey.at(y, x, 0);
                            return c == 0 ? value : c == 1 ? 255 - value : 7;
                          }),
            0);
}

TEST_F(PictureDecoderTest, ReadsFilesAndTheirSizes) {
  const TempFolder folder;
  EXPECT_EQ(decoder_.size(folder.write("a.jpg", jpeg_file(gradient(3, 13, 21)))),
            (PictureSize{.height = 13, .width = 21}));
  const auto png = folder.write("a.png", png_file(gradient(3, 2, 3)));
  EXPECT_EQ(decoder_.size(png), (PictureSize{.height = 2, .width = 3}));
  EXPECT_EQ(decoder_.decode(png).bytes[0], 20);
  EXPECT_THAT(
      refusal([&] { decoder_.decode(folder / "absent.jpg"); }),
      AllOf(StartsWith("InvalidInput: cannot read"), HasSubstr("absent.jpg: No such file")));
  EXPECT_THAT(refusal([&] { decoder_.decode(folder.path()); }), HasSubstr("not a regular file"));
}

TEST_F(PictureDecoderTest, RefusesOtherFormats) {
  EXPECT_THAT(refused("GIF89a..."), AllOf(StartsWith("Corrupt: x.jpg: byte 0: expected a JPEG"),
                                          HasSubstr("found 47 49 46 38 39 61 2e 2e")));
  EXPECT_THAT(refused(""), HasSubstr("found an empty file"));
  EXPECT_THAT(refused("\xFF"), HasSubstr("found ff"));
  EXPECT_THAT(refused(jpeg_file(gradient(4, 8, 8))), HasSubstr("grey or RGB, found CMYK"));
}

TEST_F(PictureDecoderTest, RefusesCutFiles) {
  for (const bool progressive : {false, true}) {
    const std::string jpeg = jpeg_file(gradient(3, 40, 40), progressive);
    EXPECT_THAT(refused(jpeg.substr(0, jpeg.size() / 2)),
                AllOf(StartsWith("Corrupt: x.jpg: the JPEG does not decode: "),
                      HasSubstr("fetch it again, or remove it")));
    EXPECT_THAT(refused(jpeg.substr(0, 4)), HasSubstr("does not decode"));
    EXPECT_EQ(refused(jpeg), "") << "the decoder goes on after a fault";
  }
  const std::string png = png_file(gradient(3, 40, 40));
  EXPECT_THAT(refused(png.substr(0, png.size() / 2)),
              AllOf(HasSubstr("the PNG does not decode: it is cut short"), HasSubstr(": byte ")));
  EXPECT_THAT(refused(png.substr(0, png.size() - 12)), HasSubstr("it is cut short"));
  EXPECT_EQ(refused(png), "");
}

TEST_F(PictureDecoderTest, TakesHarmlessExtraBytes) {
  // 37 zero bytes before the end-of-image marker, as some cameras write.
  std::string jpeg = jpeg_file(gradient(3, 16, 16));
  jpeg.insert(jpeg.size() - 2, std::string(37, '\0'));
  EXPECT_EQ(refused(jpeg), "");
}

TEST_F(PictureDecoderTest, RefusesDamagedPng) {
  std::string png = png_file(gradient(3, 40, 40));
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 1);
  EXPECT_THAT(refused(png), HasSubstr("the PNG does not decode"));
}

// Width and height are 4 bytes each from byte 16; the chunk's checksum follows the 13 bytes of it.
std::string with_png_size(std::string png, std::uint32_t width, std::uint32_t height) {
  png.replace(16, 8, big_endian(width, 4) + big_endian(height, 4));
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17);
  png.replace(29, 4, big_endian(crc, 4));
  return png;
}

TEST_F(PictureDecoderTest, RefusesSizesThatAreZeroOrAbsurdBeforeDecoding) {
  const std::string png = png_file(gradient(3, 8, 8));
  EXPECT_THAT(refused(with_png_size(png, 30'000, 30'000)),
              HasSubstr("found a header that says 30000 x 30000"));
  EXPECT_THAT(refused(with_png_size(png, 0x7FFFFFFF, 0x7FFFFFFF)),
              HasSubstr("found a header that says 2147483647 x 2147483647"));
  EXPECT_THAT(refused(with_png_size(png, 0, 8)), HasSubstr("the PNG does not decode"));
  std::string jpeg = jpeg_file(gradient(3, 8, 8));
  const std::size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  std::string huge = jpeg;
  huge.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  EXPECT_THAT(refused(huge), HasSubstr("found a header that says 65500 x 65500"));
  std::string empty = jpeg;
  empty.replace(frame + 5, 2, std::string(2, '\0'));
  EXPECT_THAT(refused(empty), HasSubstr("the JPEG does not decode"));
}

TEST_F(PictureDecoderTest, SurvivesDamage) {
  const auto decode = [&](const std::string& file) { decoder_.decode(bytes_of(file), "x"); };
  EXPECT_GT(survive_damage(jpeg_file(gradient(3, 12, 12)), 500, decode), 100);
  EXPECT_GT(survive_damage(jpeg_file(gradient(3, 12, 12), true), 500, decode), 100);
  EXPECT_GT(survive_damage(png_file(gradient(3, 12, 12)), 500, decode), 300);
}

}  // namespace
}  // namespace shoal

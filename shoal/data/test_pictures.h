// Picture files that tests make. For tests only.
#pragma once

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
// After stdio.h, which it needs but does not include.
#include <jpeglib.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "shoal/data/picture.h"

namespace shoal {

// Interleaved bytes with their sizes.
struct TestPicture {
  int channels = 3;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> bytes;

  TestPicture(int its_channels, int its_height, int its_width)
      : channels(its_channels),
        height(its_height),
        width(its_width),
        bytes(static_cast<std::size_t>(its_channels) * its_height * its_width) {}
  std::uint8_t& at(int y, int x, int c) {
    return bytes[(static_cast<std::size_t>(y) * width + x) * channels + c];
  }
  std::uint8_t at(int y, int x, int c) const {
    return bytes[(static_cast<std::size_t>(y) * width + x) * channels + c];
  }
  PictureView view() const {
    return PictureView::interleaved(bytes.data(), channels, height, width);
  }
};

// Smooth, so that JPEG keeps it nearly as it is; each place and channel has another value.
inline TestPicture gradient(int channels, int height, int width, int base = 20) {
  TestPicture picture(channels, height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        picture.at(y, x, c) = static_cast<std::uint8_t>((base + 3 * y + 2 * x + 40 * c) % 256);
      }
    }
  }
  return picture;
}

// 1 channel: grey, 3: RGB, 4: CMYK.
inline std::string jpeg_file(const TestPicture& picture, bool progressive = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = static_cast<JDIMENSION>(picture.width);
  jpeg.image_height = static_cast<JDIMENSION>(picture.height);
  jpeg.input_components = picture.channels;
  jpeg.in_color_space = picture.channels == 1   ? JCS_GRAYSCALE
                        : picture.channels == 3 ? JCS_RGB
                                                : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  for (int i = 0; i < jpeg.num_components; ++i) {
    jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
  }
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(picture.bytes.data()) +
                static_cast<std::size_t>(jpeg.next_scanline) *
                    static_cast<std::size_t>(picture.width * picture.channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(memory), size);
  free(memory);
  return file;
}

struct PngForm {
  int type = PNG_COLOR_TYPE_RGB;
  int bits = 8;  // 16: `bytes` are repeated, so that they stay the same in 8
  bool interlaced = false;
};

// `picture` has the channels of `form.type`: 1 grey or palette index, 2 grey and alpha, 3, 4.
inline std::string png_file(const TestPicture& picture, const PngForm& form = {}) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string file;
  png_set_write_fn(
      png, &file,
      [](png_structp to, png_bytep bytes, std::size_t count) {
        static_cast<std::string*>(png_get_io_ptr(to))
            ->append(reinterpret_cast<char*>(bytes), count);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(picture.width),
               static_cast<png_uint_32>(picture.height), form.bits, form.type,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (form.type == PNG_COLOR_TYPE_PALETTE) {
    std::vector<png_color> palette(256);
    for (std::size_t i = 0; i < palette.size(); ++i) {
      const auto value = static_cast<png_byte>(i);
      palette[i] = {value, static_cast<png_byte>(255 - value), 7};
    }
    png_set_PLTE(png, info, palette.data(), 256);
  }
  png_write_info(png, info);
  std::vector<png_byte> bytes;
  for (const std::uint8_t byte : picture.bytes) {
    bytes.insert(bytes.end(), static_cast<std::size_t>(form.bits / 8), byte);
  }
  std::vector<png_bytep> rows;
  const std::size_t stride = bytes.size() / static_cast<std::size_t>(picture.height);
  for (int y = 0; y < picture.height; ++y) {
    rows.push_back(bytes.data() + static_cast<std::size_t>(y) * stride);
  }
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace shoal

// Pictures as bytes, and which part of one becomes a sample.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal {

// A picture in memory, borrowed. Channel c of the pixel in row y and column x is
// bytes[c * to_channel + y * to_row + x * to_column].
struct PictureView {
  const std::uint8_t* bytes = nullptr;
  int channels = 0;
  int height = 0;
  int width = 0;
  std::ptrdiff_t to_channel = 0;
  std::ptrdiff_t to_row = 0;
  std::ptrdiff_t to_column = 0;

  // Channels one after the other, as samples lie in memory.
  static PictureView planar(const std::uint8_t* bytes, int channels, int height, int width) {
    const std::ptrdiff_t plane = std::ptrdiff_t{height} * width;
    return {bytes, channels, height, width, plane, width, 1};
  }
  // Pixels one after the other, as decoders write them.
  static PictureView interleaved(const std::uint8_t* bytes, int channels, int height, int width) {
    return {bytes, channels, height, width, 1, std::ptrdiff_t{width} * channels, channels};
  }
};

struct PictureSize {
  int height = 0;
  int width = 0;
  bool operator==(const PictureSize&) const = default;
};

// How a picture becomes a sample: `box` of it is resized to `resized`, and of that the window of
// the sample's size whose corner is (top, left) is taken. What of a window lies outside is black.
struct PictureCut {
  struct Box {
    int top = 0;
    int left = 0;
    int height = 0;  // > 0, within the picture
    int width = 0;
    bool operator==(const Box&) const = default;
  };
  Box box;
  PictureSize resized;  // the box's size: nothing is resized
  int top = 0;          // may be negative
  int left = 0;
  bool mirrored = false;  // left and right change places, last
  bool operator==(const PictureCut&) const = default;
};

}  // namespace shoal

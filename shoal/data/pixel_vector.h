// Bytes of pixels to floats in bulk, with the vector instructions that the CPU has. Inside data
// only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shoal/data/scaling.h"

namespace shoal::detail {

// A line for each colour, in double precision.
struct PixelLines {
  std::array<Scaling::Line, 3> of;
};

// Of interleaved RGB: planes[c][i] = slope * rgb[3 * i + c] + offset, rounded to float once. Writes
// as many pixels as fill whole vectors, and returns how many; the rest is the caller's.
std::size_t convert_pixels(const std::uint8_t* rgb, std::size_t pixels, const PixelLines& lines,
                           const std::array<float*, 3>& planes);

}  // namespace shoal::detail

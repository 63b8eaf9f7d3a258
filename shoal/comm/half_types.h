// bfloat16 and float16 to and from float32, without branches so that compilers make vectors of it.
#pragma once

#include <bit>
#include <cstdint>

namespace shoal {

struct BFloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

inline float widened(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// To nearest, ties to even; a NaN stays a NaN.
inline BFloat16 rounded_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t even = bits + 0x7fffU + ((bits >> 16) & 1U);
  const std::uint32_t nan = bits | 0x00400000U;
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return {static_cast<std::uint16_t>((is_nan ? nan : even) >> 16)};
}

// Source: F. Giesen, "half_to_float_fast5" (public domain): the exponent is corrected by a
// multiplication, which also makes numbers of subnormal halves.
inline float widened(Float16 value) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(value.bits & 0x7fffU) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * std::bit_cast<float>(0x77800000U);
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(scaled);
  // Infinity and NaN keep the largest exponent.
  const std::uint32_t special = magnitude | 0x7f800000U;
  const std::uint32_t bits = magnitude >= (0x7c00U << 13) ? special : finite;
  return std::bit_cast<float>(bits | (static_cast<std::uint32_t>(value.bits & 0x8000U) << 16));
}

// Source: F. Giesen, "float_to_half_fast3_rtne" (public domain).
inline Float16 rounded_to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits & 0x80000000U;
  const std::uint32_t magnitude = bits ^ sign;
  const std::uint32_t special = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
  // Below 2^-14 the result is subnormal: adding 0.5 lets the hardware round at the right bit.
  const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U;
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  const std::uint32_t normal = (magnitude + 0xc8000fffU + odd) >> 13;
  const std::uint32_t small = magnitude < 0x38800000U ? subnormal : normal;
  const std::uint32_t result = magnitude >= 0x47800000U ? special : small;
  return {static_cast<std::uint16_t>(result | (sign >> 16))};
}

}  // namespace shoal

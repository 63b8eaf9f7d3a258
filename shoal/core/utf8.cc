#include "shoal/core/utf8.h"

#include <cstdint>

namespace shoal {
namespace {

// What may follow a lead byte: how many bytes, and the range of the first of them. The narrower
// ranges exclude overlong forms (E0, F0), surrogates (ED) and values above U+10FFFF (F4).
struct Sequence {
  int following = -1;  // -1: no lead byte
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
};

Sequence sequence_of(std::uint8_t lead) {
  if (lead < 0x80) return {0};
  if (lead < 0xC2) return {};
  if (lead < 0xE0) return {1};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead < 0xF0) return {2};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead < 0xF4) return {3};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {};
}

}  // namespace

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = sequence_of(byte(at));
    if (sequence.following < 0) return at;
    const auto length = static_cast<std::size_t>(sequence.following);
    if (length > text.size() - at - 1) return at;
    for (std::size_t k = 1; k <= length; ++k) {
      const std::uint8_t low = k == 1 ? sequence.low : 0x80;
      const std::uint8_t high = k == 1 ? sequence.high : 0xBF;
      if (byte(at + k) < low || byte(at + k) > high) return at;
    }
    at += length + 1;
  }
  return std::nullopt;
}

}  // namespace shoal

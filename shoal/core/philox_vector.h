// Philox in bulk, with the vector instructions that the CPU has. Inside core only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shoal/core/philox.h"

namespace shoal::detail {

// Blocks of four numbers whose counters are first, first + 1, ... in word 0 (which must not wrap)
// and `counter` in words 1 to 3.
struct PhiloxRange {
  PhiloxCounter counter;  // word 0: the first block
  PhiloxKey key;
  std::size_t blocks;
};

// Each writes 4 * (returned count) numbers: as many whole vectors of blocks as fit in the range.
// The rest, a few blocks, is the caller's.
std::size_t philox_bits(const PhiloxRange& range, std::uint32_t* out);
std::size_t philox_uniform(const PhiloxRange& range, float* out);

// n pairs of words to n pairs of standard normals.
void box_muller(const std::uint32_t* bits, float* out, std::size_t pairs);

}  // namespace shoal::detail

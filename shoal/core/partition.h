// The one rule by which n things are cut into parts: contiguous, in order, and none larger than
// another by more than one. Samples of a batch, micro-batches, rows of an uneven dim and chunks of
// memory all use it, so that every rank finds the same borders by itself.
#pragma once

#include <cstdint>

#include "shoal/core/check.h"

namespace shoal {

// The whole numbers begin <= i < end.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  constexpr std::int64_t size() const { return end - begin; }
  constexpr bool empty() const { return end == begin; }
  constexpr bool operator==(const Range&) const = default;
};

// Part `index` of `parts` of 0..n-1. The first n mod parts parts hold ceil(n / parts), the others
// floor(n / parts); with fewer things than parts the last parts are empty. n may be any
// non-negative number: nothing here overflows. 10,007 in 4: 2,502 2,502 2,502 2,501.
inline Range part_of(std::int64_t n, std::int64_t parts, std::int64_t index) {
  check(n >= 0 && parts > 0 && index >= 0 && index < parts,
        "part_of needs n >= 0 and 0 <= index < parts");
  const std::int64_t small = n / parts;
  const std::int64_t larger = n % parts;  // so many parts have one more
  const std::int64_t begin = small * index + (index < larger ? index : larger);
  return {begin, begin + small + (index < larger ? 1 : 0)};
}

}  // namespace shoal

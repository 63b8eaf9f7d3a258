// The arithmetic of reductions on plain memory. Every result depends only on the values and on the
// order of the sources: not on the machine, on alignment, or on how a range is cut.
//
// float16 and bfloat16 are widened to float32, summed there, and rounded once (to nearest, ties to
// even). min and max hand on a NaN. bool: sum and max are "or", min and product are "and".
// Integers wrap. mean is the sum, divided by the number of ranks once it is whole; floats only. The
// bit operations take whole numbers and bool.
#pragma once

#include <cstddef>
#include <span>

#include "shoal/comm/group.h"

namespace shoal {

// outputs[k][i] = ((s[0][i] op s[1][i]) op s[2][i]) ... for 0 <= i < elements, for every output k.
// An output may be one of the sources (the same start); other overlap is not allowed.
using Reduction = void (*)(std::span<const std::byte* const> sources,
                           std::span<std::byte* const> outputs, std::size_t elements);
// Of a mean the sources are those of all ranks. The type takes the operation: see can_reduce.
Reduction reduction_of(ElementType type, ReduceOp op);
bool can_reduce(ElementType type, ReduceOp op);

// The type in which partial results of `type` travel.
constexpr ElementType wide_type(ElementType type) {
  return type == ElementType::float16 || type == ElementType::bfloat16 ? ElementType::float32
                                                                       : type;
}

// The way of values into wide_type and back, for sums that are not whole yet.
struct WideForm {
  // out[i] = wide(values[i])
  void (*widen)(const std::byte* values, std::byte* out, std::size_t elements);
  // values[i] = values[i] / ranks, in wide_type
  void (*divide)(std::byte* values, int ranks, std::size_t elements);
  // out[i] = rounded(wide[i])
  void (*narrow)(const std::byte* wide, std::byte* out, std::size_t elements);
};
WideForm wide_form_of(ElementType type);

}  // namespace shoal

// What collectives should give, worked out serially: a schedule carried out step by step, as its
// header describes, on numbers. Slow and simple: the yardstick of `shoal comm test` and of tests.
#pragma once

#include <cstddef>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/comm/schedule.h"

namespace shoal {

inline constexpr ElementType kAllTypes[] = {
    ElementType::float32, ElementType::float64, ElementType::float16, ElementType::bfloat16,
    ElementType::int8,    ElementType::int16,   ElementType::int32,   ElementType::int64,
    ElementType::uint8,   ElementType::boolean};
inline constexpr ReduceOp kAllReductions[] = {
    ReduceOp::sum,  ReduceOp::min,     ReduceOp::max,    ReduceOp::product,
    ReduceOp::mean, ReduceOp::bit_and, ReduceOp::bit_or, ReduceOp::bit_xor};

// Contributions to try a collective with: different on every rank and at every place; sums of
// floats depend on their order.
std::vector<std::byte> sample_input(ElementType type, std::size_t elements, int rank);

// The sum of all ranks' sample_input; empty when ranks end with different ones. Products of int64
// are not exact here. Cost: elements x transfers.
std::vector<std::byte> serial_sum(const Schedule& schedule, ElementType type, ReduceOp op,
                                  std::size_t elements);

}  // namespace shoal

// What a rank asked a group for. Ranks compare these before they exchange data, so that calls that
// do not fit together are an error with names instead of a hang or wrong sums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shoal/comm/group.h"

namespace shoal {

enum class Operation : std::uint8_t { all_reduce, broadcast, all_gather, reduce_scatter, barrier };
std::string_view name_of(Operation operation);

struct Call {
  Operation operation = Operation::barrier;
  ElementType type = ElementType::uint8;
  ReduceOp op = ReduceOp::sum;
  Algorithm algorithm = Algorithm::two_shot;
  int root = 0;                // broadcast; below 2^11
  std::uint64_t elements = 0;  // of the input; below 2^40

  // In one word that is never 0 and is equal exactly when the calls are.
  std::uint64_t packed() const {
    return (std::uint64_t{1} << 63) | (static_cast<std::uint64_t>(operation) << 60) |
           (static_cast<std::uint64_t>(algorithm) << 57) |
           (static_cast<std::uint64_t>(type) << 53) | (static_cast<std::uint64_t>(op) << 51) |
           (static_cast<std::uint64_t>(root & 0x7ff) << 40) | (elements & ((1ULL << 40) - 1));
  }
  static Call unpacked(std::uint64_t word);
  std::string text() const;  // "all_reduce(sum, 4 x float32)"
};

}  // namespace shoal

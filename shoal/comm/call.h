// What a rank asked a group for. Ranks compare these before they exchange data, so that calls that
// do not fit together are an error with names instead of a hang or wrong sums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shoal/comm/group.h"

namespace shoal {

enum class Operation : std::uint8_t {
  all_reduce,
  broadcast,
  all_gather,
  reduce_scatter,
  barrier,
  reduce,
  all_to_all,
  gather,
  scatter,
  all_gather_lists,
  reduce_scatter_lists,
};
std::string_view name_of(Operation operation);

struct Call {
  Operation operation = Operation::barrier;
  ElementType type = ElementType::uint8;
  ReduceOp op = ReduceOp::sum;
  Algorithm algorithm = Algorithm::two_shot;
  int root = 0;                // of some; below 2^12
  std::uint64_t elements = 0;  // of the input; below 2^36; 0 where ranks' sizes may differ

  // In one word that is never 0 and is equal exactly when the calls are.
  std::uint64_t packed() const {
    return (std::uint64_t{1} << 63) | (static_cast<std::uint64_t>(operation) << 59) |
           (static_cast<std::uint64_t>(algorithm) << 55) |
           (static_cast<std::uint64_t>(type) << 51) | (static_cast<std::uint64_t>(op) << 48) |
           (static_cast<std::uint64_t>(root & 0xfff) << 36) | (elements & ((1ULL << 36) - 1));
  }
  static Call unpacked(std::uint64_t word);
  std::string text() const;  // "all_reduce(sum, 4 x float32)"
};

// What a message between two ranks holds.
struct MessageShape {
  ElementType type = ElementType::uint8;
  std::uint64_t elements = 0;  // below 2^56

  explicit MessageShape(const ConstBuffer& data) : type(data.type), elements(data.elements) {}
  MessageShape(ElementType type, std::uint64_t elements) : type(type), elements(elements) {}
  std::uint64_t packed() const { return (static_cast<std::uint64_t>(type) << 56) | elements; }
  static MessageShape unpacked(std::uint64_t word) {
    return {static_cast<ElementType>(word >> 56), word & ((1ULL << 56) - 1)};
  }
  std::string text() const;  // "4 x float32"
  friend bool operator==(const MessageShape&, const MessageShape&) = default;
};

}  // namespace shoal

#include "shoal/comm/call.h"

#include <fmt/format.h>

#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

std::string_view name_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return "sum";
    case ReduceOp::min:
      return "min";
    case ReduceOp::max:
      return "max";
    case ReduceOp::product:
      return "product";
    case ReduceOp::mean:
      return "mean";
    case ReduceOp::bit_and:
      return "bit_and";
    case ReduceOp::bit_or:
      return "bit_or";
    case ReduceOp::bit_xor:
      return "bit_xor";
  }
  return "?";
}

std::string_view name_of(Operation operation) {
  switch (operation) {
    case Operation::all_reduce:
      return "all_reduce";
    case Operation::broadcast:
      return "broadcast";
    case Operation::all_gather:
    case Operation::all_gather_lists:
      return "all_gather";
    case Operation::reduce_scatter:
    case Operation::reduce_scatter_lists:
      return "reduce_scatter";
    case Operation::barrier:
      return "barrier";
    case Operation::reduce:
      return "reduce";
    case Operation::all_to_all:
      return "all_to_all";
    case Operation::gather:
      return "gather";
    case Operation::scatter:
      return "scatter";
  }
  return "?";
}

Call Call::unpacked(std::uint64_t word) {
  Call call;
  call.operation = static_cast<Operation>((word >> 59) & 15);
  call.algorithm = static_cast<Algorithm>((word >> 55) & 15);
  call.type = static_cast<ElementType>((word >> 51) & 15);
  call.op = static_cast<ReduceOp>((word >> 48) & 7);
  call.root = static_cast<int>((word >> 36) & 0xfff);
  call.elements = word & ((1ULL << 36) - 1);
  return call;
}

std::string Call::text() const {
  switch (operation) {
    case Operation::all_reduce:
    case Operation::reduce_scatter:
      return fmt::format(
          "{}({}, {} x {}{})", name_of(operation), name_of(op), elements, name_of(type),
          algorithm == Algorithm::two_shot ? std::string()
                                           : fmt::format(", {}", name_of(algorithm)));
    case Operation::broadcast:
      return fmt::format("broadcast({} x {}, root {})", elements, name_of(type), root);
    case Operation::all_gather:
      return fmt::format("all_gather({} x {})", elements, name_of(type));
    case Operation::reduce:
      return fmt::format("reduce({}, {} x {}, root {})", name_of(op), elements, name_of(type),
                         root);
    case Operation::all_to_all:
    case Operation::all_gather_lists:
      return fmt::format("{}(lists of {})", name_of(operation), name_of(type));
    case Operation::reduce_scatter_lists:
      return fmt::format("reduce_scatter({}, lists of {})", name_of(op), name_of(type));
    case Operation::gather:
    case Operation::scatter:
      return fmt::format("{}({}, root {})", name_of(operation), name_of(type), root);
    case Operation::barrier:
      return "barrier";
  }
  return "?";
}

std::string MessageShape::text() const { return fmt::format("{} x {}", elements, name_of(type)); }

}  // namespace shoal

#include "shoal/comm/checks.h"

#include <fmt/format.h>

#include "shoal/comm/reduce_kernels.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

void check_types(std::string_view operation, ElementType in, ElementType out) {
  if (in != out) {
    throw InvalidInput(fmt::format("{}: the input is {} and the output {}; give both one type",
                                   operation, name_of(in), name_of(out)));
  }
}

}  // namespace

void check_peer(int peer, int rank, int size, std::string_view what) {
  if (peer < 0 || peer >= size || peer == rank) {
    throw InvalidInput(
        fmt::format("rank {} cannot {} rank {}: the group has ranks 0 to {} and a "
                    "rank sends nothing to itself",
                    rank, what, peer, size - 1));
  }
}

void check_root(Operation operation, int root, int size) {
  if (root < 0 || root >= size) {
    throw InvalidInput(
        fmt::format("{}: root {} is not a rank of the group, which has ranks 0 to {}",
                    name_of(operation), root, size - 1));
  }
}

void check_reduction(Operation operation, ElementType type, ReduceOp op) {
  if (can_reduce(type, op)) return;
  throw InvalidInput(fmt::format(
      "{}: there is no {} of {}: {}", name_of(operation), name_of(op), name_of(type),
      op == ReduceOp::mean ? "take a float type, or sum" : "take a whole-number type or bool"));
}

void check_lists(Operation operation, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                 int size) {
  const auto check_length = [&](std::size_t length, std::string_view what) {
    if (length == static_cast<std::size_t>(size)) return;
    throw InvalidInput(fmt::format("{}: {} {} buffers for {} ranks; give one for each",
                                   name_of(operation), length, what, size));
  };
  check_length(in.size(), "input");
  check_length(out.size(), "output");
  for (int rank = 0; rank < size; ++rank) {
    check_types(name_of(operation), in[0].type, in[rank].type);
    check_types(name_of(operation), in[0].type, out[rank].type);
  }
}

void check_all_gather(const ConstBuffer& in, const Buffer& out, int size) {
  check_types("all_gather", in.type, out.type);
  if (out.elements != in.elements * size) {
    throw InvalidInput(
        fmt::format("all_gather: {} elements from each of {} ranks need an output of "
                    "{}, not {}",
                    in.elements, size, in.elements * size, out.elements));
  }
}

void check_reduce_scatter(const ConstBuffer& in, const Buffer& out, ReduceOp op, int size) {
  check_types("reduce_scatter", in.type, out.type);
  check_reduction(Operation::reduce_scatter, in.type, op);
  if (in.elements != out.elements * size) {
    throw InvalidInput(
        fmt::format("reduce_scatter: {} elements do not make {} pieces of {}, the "
                    "output's size",
                    in.elements, size, out.elements));
  }
}

void check_reduce(const ConstBuffer& in, const Buffer& out, int root, ReduceOp op, int rank,
                  int size) {
  check_root(Operation::reduce, root, size);
  check_reduction(Operation::reduce, in.type, op);
  if (rank != root) return;
  check_types("reduce", in.type, out.type);
  if (in.elements != out.elements) {
    throw InvalidInput(fmt::format("reduce: {} elements need an output of as many, not {}",
                                   in.elements, out.elements));
  }
}

InvalidInput sizes_differ(const Place& place, int giver, std::uint64_t given, int taker,
                          const Buffer& expected) {
  return InvalidInput(
      fmt::format("{}: rank {} gives {} x {}, but rank {} expects {}: name the same "
                  "size on both",
                  place.text(), giver, given, name_of(expected.type), taker, expected.elements));
}

InvalidInput messages_differ(const Place& place, int sender, const MessageShape& sent, int receiver,
                             const MessageShape& asked) {
  return InvalidInput(fmt::format("{}: rank {} sent {}, rank {} asked for {}", place.text(), sender,
                                  sent.text(), receiver, asked.text()));
}

}  // namespace shoal

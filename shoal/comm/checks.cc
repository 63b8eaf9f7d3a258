#include "shoal/comm/checks.h"

#include <fmt/format.h>

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

void check_root(int root, int size) {
  if (root < 0 || root >= size) {
    throw InvalidInput(
        fmt::format("broadcast: root {} is not a rank of the group, which has ranks "
                    "0 to {}",
                    root, size - 1));
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

void check_reduce_scatter(const ConstBuffer& in, const Buffer& out, int size) {
  check_types("reduce_scatter", in.type, out.type);
  if (in.elements != out.elements * size) {
    throw InvalidInput(
        fmt::format("reduce_scatter: {} elements do not make {} pieces of {}, the "
                    "output's size",
                    in.elements, size, out.elements));
  }
}

}  // namespace shoal

#include "shoal/comm/group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "shoal/comm/call.h"
#include "shoal/comm/checks.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

template <typename Any>
std::vector<Any> nothing_for(int size, ElementType type) {
  return std::vector<Any>(static_cast<std::size_t>(size), Any{nullptr, 0, type});
}

}  // namespace

std::shared_ptr<std::byte> Group::allocate(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const std::size_t whole = std::max(kLine, (bytes + kLine - 1) / kLine * kLine);
  void* memory = std::aligned_alloc(kLine, whole);
  if (memory == nullptr) {
    throw OutOfMemory(fmt::format("there is no memory for a buffer of {} bytes", bytes));
  }
  std::memset(memory, 0, whole);
  return {static_cast<std::byte*>(memory), [](std::byte* data) { std::free(data); }};
}

void Group::all_to_all(std::span<const ConstBuffer> in, std::span<const Buffer> out,
                       Deadline deadline) {
  check_lists(Operation::all_to_all, in, out, size());
  transfer({.operation = Operation::all_to_all, .type = in[0].type}, in, out, deadline);
}

void Group::reduce_scatter(std::span<const ConstBuffer> in, Buffer out, ReduceOp op,
                           Deadline deadline) {
  const auto ranks = static_cast<std::size_t>(size());
  std::vector<Buffer> taken(ranks, out);
  check_lists(Operation::reduce_scatter_lists, in, taken, size());
  check_reduction(Operation::reduce_scatter_lists, in[0].type, op);
  if (in[rank()].elements != out.elements) {
    throw InvalidInput(
        fmt::format("reduce_scatter: the piece of rank {} has {} elements, but its "
                    "output {}: name the same size",
                    rank(), in[rank()].elements, out.elements));
  }
  std::vector<std::byte> scratch(out.bytes() * (ranks - 1));
  std::vector<const std::byte*> sources;
  for (std::size_t peer = 0, used = 0; peer < ranks; ++peer) {
    const bool own = peer == static_cast<std::size_t>(rank());
    taken[peer].data = own ? const_cast<std::byte*>(in[peer].data) : scratch.data() + used;
    if (!own) used += out.bytes();
    sources.push_back(taken[peer].data);
  }
  transfer({.operation = Operation::reduce_scatter_lists, .type = out.type, .op = op}, in, taken,
           deadline);
  reduction_of(out.type, op)(sources, {&out.data, 1}, out.elements);
}

void Group::all_gather(ConstBuffer in, std::span<const Buffer> out, Deadline deadline) {
  const std::vector<ConstBuffer> to_all(static_cast<std::size_t>(size()), in);
  check_lists(Operation::all_gather_lists, to_all, out, size());
  transfer({.operation = Operation::all_gather_lists, .type = in.type}, to_all, out, deadline);
}

void Group::gather(ConstBuffer in, std::span<const Buffer> out, int root, Deadline deadline) {
  check_root(Operation::gather, root, size());
  auto to_root = nothing_for<ConstBuffer>(size(), in.type);
  to_root[root] = in;
  const auto nothing = nothing_for<Buffer>(size(), in.type);
  const std::span<const Buffer> taken = rank() == root ? out : nothing;
  check_lists(Operation::gather, to_root, taken, size());
  transfer({.operation = Operation::gather, .type = in.type, .root = root}, to_root, taken,
           deadline);
}

void Group::scatter(std::span<const ConstBuffer> in, Buffer out, int root, Deadline deadline) {
  check_root(Operation::scatter, root, size());
  auto from_root = nothing_for<Buffer>(size(), out.type);
  from_root[root] = out;
  const auto nothing = nothing_for<ConstBuffer>(size(), out.type);
  const std::span<const ConstBuffer> given = rank() == root ? in : nothing;
  check_lists(Operation::scatter, given, from_root, size());
  transfer({.operation = Operation::scatter, .type = out.type, .root = root}, given, from_root,
           deadline);
}

}  // namespace shoal

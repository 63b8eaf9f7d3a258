#include "shoal/comm/ring.h"

#include "shoal/comm/reduce_kernels.h"
#include "shoal/core/partition.h"

namespace shoal {
namespace {

int wrapped(int rank, int size) { return (rank % size + size) % size; }

// Reduces chunk by chunk until the whole sum of chunk `rank` lies, widened, in scratch.sending.
void reduce_round(RingLink& link, int rank, int size, const Parts& parts, ReduceOp op,
                  RingScratch& scratch) {
  const std::size_t wide = size_of(wide_type(parts.type()));
  const HopReduction hop = hop_reduction_of(parts.type(), op);
  const auto chunk = [&](int index) {
    return part_of(static_cast<std::int64_t>(parts.elements()), size, wrapped(index, size));
  };
  const auto bytes = [&](const Range& range) {
    return static_cast<std::size_t>(range.size()) * wide;
  };
  const std::size_t most = bytes(chunk(0));  // no chunk is larger than the first
  if (scratch.sending.size() < most) scratch.sending.resize(most);
  if (scratch.receiving.size() < most) scratch.receiving.resize(most);

  // Chunk c starts on rank c + 1, so each rank begins with the chunk of the rank before it.
  const Range first = chunk(rank - 1);
  parts.visit(first.begin, first.size(), [&](std::byte* own, std::size_t n, std::size_t before) {
    hop.widen(own, scratch.sending.data() + before * wide, n);
  });
  for (int step = 1; step < size; ++step) {
    const Range out = chunk(rank - step);
    const Range in = chunk(rank - step - 1);
    link.exchange(scratch.sending.data(), bytes(out), scratch.receiving.data(), bytes(in));
    parts.visit(in.begin, in.size(), [&](std::byte* own, std::size_t n, std::size_t before) {
      hop.take_in(scratch.receiving.data() + before * wide, own, n);
    });
    std::swap(scratch.sending, scratch.receiving);
  }
}

}  // namespace

void ring_all_reduce(RingLink& link, int rank, int size, const Parts& parts, ReduceOp op,
                     RingScratch& scratch) {
  reduce_round(link, rank, size, parts, op, scratch);
  const std::size_t element = size_of(parts.type());
  const HopReduction hop = hop_reduction_of(parts.type(), op);
  const auto chunk = [&](int index) {
    return part_of(static_cast<std::int64_t>(parts.elements()), size, wrapped(index, size));
  };
  // Rounded once, when whole.
  const Range own = chunk(rank);
  hop.narrow(scratch.sending.data(), scratch.receiving.data(), own.size());
  std::swap(scratch.sending, scratch.receiving);
  parts.scatter(scratch.sending.data(), own.begin, own.size());
  for (int step = 0; step + 1 < size; ++step) {
    const Range out = chunk(rank - step);
    const Range in = chunk(rank - step - 1);
    link.exchange(scratch.sending.data(), out.size() * element, scratch.receiving.data(),
                  in.size() * element);
    parts.scatter(scratch.receiving.data(), in.begin, in.size());
    std::swap(scratch.sending, scratch.receiving);
  }
}

void ring_reduce_scatter(RingLink& link, int rank, int size, ConstBuffer in, Buffer out,
                         ReduceOp op, RingScratch& scratch) {
  reduce_round(link, rank, size, Parts(in), op, scratch);
  hop_reduction_of(in.type, op).narrow(scratch.sending.data(), out.data, out.elements);
}

}  // namespace shoal

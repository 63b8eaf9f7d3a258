// Ring algorithms over any engine that can exchange bytes with its two neighbours.
// Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
// workstations", JPDC 2009.
// Cost: all_reduce 2 (n-1) steps and 2 (n-1)/n of the bytes per rank; half of both for the others.
#pragma once

#include <cstddef>
#include <vector>

#include "shoal/comm/parts.h"

namespace shoal {

class RingLink {
 public:
  // Sends `out` to the next rank and receives `in` from the one before, both at the same time.
  virtual void exchange(const std::byte* out, std::size_t out_bytes, std::byte* in,
                        std::size_t in_bytes) = 0;

 protected:
  ~RingLink() = default;
};

// Memory that is kept from call to call.
struct RingScratch {
  std::vector<std::byte> sending;
  std::vector<std::byte> receiving;
};

// The vector is cut in `size` chunks (part_of); chunk c is summed in the order of ranks c+1, c+2,
// ..., c and then goes round. Half types travel as float32 until they are summed.
void ring_all_reduce(RingLink& link, int rank, int size, const Parts& parts, ReduceOp op,
                     RingScratch& scratch);

// Piece c of `in`, which counts as `size` equal pieces, is summed in that order and left in `out`
// of rank c.
void ring_reduce_scatter(RingLink& link, int rank, int size, ConstBuffer in, Buffer out,
                         ReduceOp op, RingScratch& scratch);

}  // namespace shoal

#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

// The first half of the chunks as in ring_schedule, the second half the other way round.
Schedule two_way_ring_schedule(int size) {
  Schedule schedule{.algorithm = "two_way_ring", .size = size, .chunks = 2 * size, .transfers = {}};
  for (const Transfer& forward : ring_schedule(size).transfers) {
    Transfer backward = forward;
    backward.from = size - 1 - forward.from;
    backward.to = size - 1 - forward.to;
    backward.first = size + forward.first;
    schedule.transfers.push_back(forward);
    schedule.transfers.push_back(backward);
  }
  return schedule;
}

}  // namespace shoal

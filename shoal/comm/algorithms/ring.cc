#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

// Chunk c starts on rank c + 1 and is whole on rank c; then it goes round once more.
Schedule ring_schedule(int size) {
  Schedule schedule{.algorithm = "ring", .size = size, .chunks = size, .transfers = {}};
  for (int step = 0; step < 2 * (size - 1); ++step) {
    const bool reduces = step < size - 1;
    for (int rank = 0; rank < size; ++rank) {
      const int behind = (reduces ? 1 : 0) + step % (size - 1);
      schedule.transfers.push_back(
          {.step = step,
           .from = rank,
           .to = (rank + 1) % size,
           .first = (rank - behind + size) % size,
           .effect = reduces ? Transfer::Effect::add : Transfer::Effect::replace});
    }
  }
  return schedule;
}

}  // namespace shoal

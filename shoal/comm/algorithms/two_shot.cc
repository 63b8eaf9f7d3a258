#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

Schedule two_shot_schedule(int size) {
  Schedule schedule{.algorithm = "two_shot", .size = size, .chunks = size, .transfers = {}};
  for (const auto effect : {Transfer::Effect::add, Transfer::Effect::replace}) {
    const bool reduces = effect == Transfer::Effect::add;
    // Everybody begins with another peer, so that none is flooded.
    for (int rank = 0; rank < size; ++rank) {
      for (int distance = 1; distance < size; ++distance) {
        const int peer = (rank + distance) % size;
        schedule.transfers.push_back({.step = reduces ? 0 : 1,
                                      .from = rank,
                                      .to = peer,
                                      .first = reduces ? peer : rank,
                                      .effect = effect});
      }
    }
  }
  return schedule;
}

}  // namespace shoal

#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

Schedule hop_by_hop_schedule(int size) {
  Schedule schedule{.algorithm = "hop_by_hop", .size = size, .chunks = 1, .transfers = {}};
  for (int hop = 0; hop + 1 < size; ++hop) {
    schedule.transfers.push_back({.step = hop, .from = hop, .to = hop + 1, .first = 0});
  }
  for (int hop = 0; hop + 1 < size; ++hop) {
    schedule.transfers.push_back({.step = size - 1 + hop,
                                  .from = size - 1 - hop,
                                  .to = size - 2 - hop,
                                  .first = 0,
                                  .effect = Transfer::Effect::replace});
  }
  return schedule;
}

}  // namespace shoal

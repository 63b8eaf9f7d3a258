#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/algorithms/power_of_two.h"

namespace shoal {

Schedule recursive_doubling_schedule(int size) {
  Schedule schedule{.algorithm = "recursive_doubling", .size = size, .chunks = 1, .transfers = {}};
  const PowerOfTwo folded(size);
  folded.fold(schedule);
  int step = folded.first_step();
  for (int distance = 1; distance < folded.members(); distance *= 2, ++step) {
    for (int member = 0; member < folded.members(); ++member) {
      schedule.transfers.push_back({.step = step,
                                    .from = folded.rank_of(member),
                                    .to = folded.rank_of(member ^ distance),
                                    .first = 0});
    }
  }
  folded.unfold(schedule, step);
  return schedule;
}

}  // namespace shoal

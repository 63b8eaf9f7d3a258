#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/algorithms/power_of_two.h"

namespace shoal {

// Member m ends the halving with chunk m whole. At distance d it shares a block of 2 d chunks with
// its partner; each keeps the half that holds its own chunk. Doubling is the same backwards.
Schedule rabenseifner_schedule(int size) {
  const PowerOfTwo folded(size);
  Schedule schedule{
      .algorithm = "rabenseifner", .size = size, .chunks = folded.members(), .transfers = {}};
  folded.fold(schedule);
  int step = folded.first_step();
  const auto exchange = [&](int distance, bool halves) {
    for (int member = 0; member < folded.members(); ++member) {
      const int partner = member ^ distance;
      const int keeper = halves ? partner : member;  // whose half goes over
      schedule.transfers.push_back(
          {.step = step,
           .from = folded.rank_of(member),
           .to = folded.rank_of(partner),
           .first = keeper / distance * distance,
           .chunks = distance,
           .effect = halves ? Transfer::Effect::add : Transfer::Effect::replace});
    }
    ++step;
  };
  for (int distance = folded.members() / 2; distance > 0; distance /= 2) exchange(distance, true);
  for (int distance = 1; distance < folded.members(); distance *= 2) exchange(distance, false);
  folded.unfold(schedule, step);
  return schedule;
}

}  // namespace shoal

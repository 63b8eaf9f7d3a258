#include "shoal/comm/measure_meeting.h"

#include <algorithm>

namespace shoal {

void BoardMeeting::take_largest(std::span<double> seconds, Deadline deadline) {
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    board_.seconds(rank_, static_cast<int>(i)) = seconds[i];
  }
  meet(deadline);
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    for (int rank = 0; rank < ranks_; ++rank) {
      seconds[i] = std::max(seconds[i], board_.seconds(rank, static_cast<int>(i)));
    }
  }
  meet(deadline);
}

void GroupMeeting::take_largest(std::span<double> seconds, Deadline deadline) {
  const Buffer all = buffer(seconds);
  group_.all_reduce({&all, 1}, ReduceOp::max, deadline);
}

}  // namespace shoal

// Private to the algorithms that pair ranks at distances 1, 2, 4, ...: the ranks of any size are
// folded to a power of two. Of the first 2 x extra ranks each odd one hands its contribution to the
// even one before it, stands aside, and gets the result last.
#pragma once

#include <bit>

#include "shoal/comm/schedule.h"

namespace shoal {

class PowerOfTwo {
 public:
  explicit PowerOfTwo(int size)
      : members_(static_cast<int>(std::bit_floor(static_cast<unsigned>(size)))),
        extra_(size - members_) {}

  int members() const { return members_; }
  int first_step() const { return extra_ > 0 ? 1 : 0; }
  // The rank of member 0, 1, ..., members() - 1.
  int rank_of(int member) const { return member < extra_ ? 2 * member : member + extra_; }

  void fold(Schedule& schedule) const {
    for (int pair = 0; pair < extra_; ++pair) {
      schedule.transfers.push_back(
          {.step = 0, .from = 2 * pair + 1, .to = 2 * pair, .first = 0, .chunks = schedule.chunks});
    }
  }
  void unfold(Schedule& schedule, int step) const {
    for (int pair = 0; pair < extra_; ++pair) {
      schedule.transfers.push_back({.step = step,
                                    .from = 2 * pair,
                                    .to = 2 * pair + 1,
                                    .first = 0,
                                    .chunks = schedule.chunks,
                                    .effect = Transfer::Effect::replace});
    }
  }

 private:
  int members_;
  int extra_;
};

}  // namespace shoal

#include "shoal/comm/roll_call.h"

#include <bit>
#include <deque>
#include <set>

namespace shoal {

RankSet RankSet::of(const std::vector<int>& ranks) {
  RankSet set;
  for (const int rank : ranks) {
    if (rank < kMost) set.words[rank / 64] |= std::uint64_t{1} << (rank % 64);
  }
  return set;
}

std::vector<int> RankSet::ranks() const {
  std::vector<int> ranks;
  for (int word = 0; word < 2; ++word) {
    for (std::uint64_t left = words[word]; left != 0; left &= left - 1) {
      ranks.push_back(word * 64 + std::countr_zero(left));
    }
  }
  return ranks;
}

std::vector<int> ranks_that_hold_up(const std::vector<int>& awaited, int self,
                                    const std::function<std::optional<RankSet>(int)>& waits_for) {
  std::set<int> met{self};
  std::set<int> ends;
  std::deque<int> next(awaited.begin(), awaited.end());
  for (; !next.empty(); next.pop_front()) {
    const int rank = next.front();
    if (!met.insert(rank).second) continue;
    if (const std::optional<RankSet> its = waits_for(rank)) {
      for (const int further : its->ranks()) next.push_back(further);
    } else {
      ends.insert(rank);
    }
  }
  return ends.empty() ? awaited : std::vector<int>(ends.begin(), ends.end());
}

}  // namespace shoal

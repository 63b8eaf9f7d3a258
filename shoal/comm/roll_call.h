// Who holds the others up, where one waits for another that waits itself.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace shoal {

// Some ranks of a group. Those from kMost on are left out.
struct RankSet {
  static constexpr int kMost = 128;
  std::uint64_t words[2] = {0, 0};
  static RankSet of(const std::vector<int>& ranks);
  std::vector<int> ranks() const;  // ascending
};

// This rank, `self`, waits for `awaited`. waits_for(rank) says for whom that one waits, nullopt
// when it does not, or has not said so lately. Returns those at the ends of the chains, ascending;
// `awaited` itself when all wait in a circle.
std::vector<int> ranks_that_hold_up(const std::vector<int>& awaited, int self,
                                    const std::function<std::optional<RankSet>(int)>& waits_for);

}  // namespace shoal

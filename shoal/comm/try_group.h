// Tries a group: every operation against its serial result. What `shoal comm test` runs.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/group.h"

namespace shoal {

struct TrialReport {
  int results = 0;                  // that were compared on this rank
  std::vector<std::string> faults;  // "all_reduce(sum, 1000 x float32): a wrong result on rank 2"
};

// All ranks of the group call it. `algorithm` is the one that the group was formed with,
// `hosts` says by rank on which host it is (World::hosts). Blocks; each operation gets `seconds`.
// Throws what the group throws.
TrialReport try_group(Group& group, Algorithm algorithm, std::vector<int> hosts, double seconds);

}  // namespace shoal

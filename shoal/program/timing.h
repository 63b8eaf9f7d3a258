// Runs programs against any costs: what simulator and slot pictures share.
#pragma once

#include <functional>
#include <vector>

#include "shoal/program/program.h"
#include "shoal/program/simulate.h"

namespace shoal {

// Units of a resource; resource ProcessorSharing::kPrivate counts seconds that nobody shares.
struct Work {
  int resource;
  double amount;
};

// What an operation costs: phases follow each other, the works of a phase go on at the same time
// and the phase ends with the last of them.
using Phase = std::vector<Work>;
using Cost = std::vector<Phase>;

struct CostModel {
  std::vector<double> capacities;  // units per second, by resource
  // Of operation `index` of a program; for a collective, of this member's part; for a receive
  // nothing is asked, its message's cost is the send's.
  std::function<Cost(const Program& program, int index)> cost_of;
  bool communication_thread = true;  // see Machine
};

// Throws InvalidInput when the programs do not finish, saying which operations wait.
// Cost: O((ops + dependencies) log ops).
Timeline time_programs(const RankPrograms& programs, const CostModel& model);

}  // namespace shoal

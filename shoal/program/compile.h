// From a plan to the programs of all ranks.
#pragma once

#include <vector>

#include "shoal/program/facts.h"
#include "shoal/program/plan.h"
#include "shoal/program/program.h"

namespace shoal {

// Compiles the named programs "train", "evaluate" and "predict", one pass a technique, and verifies
// them. Throws InvalidInput with every fault of the plan, or when blocks do not fit each other.
// In the result, `blocks` has what is frozen marked as not trainable, and `plan` the cuts that were
// found: compiled again, they give the same programs. Evaluation and prediction have one
// micro-batch, bounded by a worker's part of the training batch. O(ops of all ranks); needs no
// tensor, so a 1,024-rank plan compiles in a fraction of a second.
Programs compile(const std::vector<BlockFacts>& blocks, const Plan& plan);

// The first block of each stage, beginning with 0. From the options' cuts, else balanced: the
// largest stage cost (core + wait seconds of forward and backward; parameters when no costs are
// known) is as small as possible.
std::vector<int> stage_starts(const std::vector<BlockFacts>& blocks, const Plan& plan);

// Faults of a chain: an output that does not fit the next block's input, a name used twice.
std::vector<std::string> chain_problems(const std::vector<BlockFacts>& blocks);

}  // namespace shoal

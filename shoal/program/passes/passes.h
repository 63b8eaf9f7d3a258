// The passes: each rewrites the programs of all ranks for one technique and leaves them as they are
// when its technique is off. Each stands in a file of its own with its picture.
#pragma once

#include <vector>

#include "shoal/program/program.h"

namespace shoal {

// Load, Forward b0..bn, Loss, Backward bn..b0, Agree, Update: the same for every rank of the mesh.
// evaluate and predict have Load and forwards only (evaluate ends with Loss). Blocks below the
// lowest trainable one keep nothing and have no Backward.
RankPrograms single_worker(const std::vector<BlockFacts>& blocks, const Plan& plan,
                           ProgramKind kind);

// The facts with everything that the options freeze marked as not trainable.
std::vector<BlockFacts> frozen(std::vector<BlockFacts> blocks, const FreezeOptions& options);

// No backward below the lowest trainable block, and no gradient for what is frozen. The passes
// after this one take the facts that `frozen` gives. A frozen block still runs as in training
// (dropout, running statistics), as in PyTorch.
RankPrograms freeze(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                    const FreezeOptions& options);

// Each rank keeps its stage's blocks; the batch is cut into micro-batches; Send and Receive carry
// activations forward and their gradients back, in the order of the schedule.
RankPrograms pipeline(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                      const Plan& plan);

// Drops saved state after Forward and runs it again before Backward.
RankPrograms recompute(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                       const RecomputeOptions& options);

// Gradients are summed over the ranks that saw other samples, bucket by bucket, while Backward goes
// on; running statistics are averaged before the end of the step.
RankPrograms data_parallel(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                           const Plan& plan);

// Blocks that sum over the batch while they run do it over the ranks that hold its parts, in a
// group of their own: the compute lane must not wait its turn in a lane of buckets.
RankPrograms batch_sums(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                        const Plan& plan);
// That group: empty where a rank has the whole batch.
GroupFacts batch_sum_group(const Plan& plan, int rank);

// Frees every value after its last use; the last pass before versions are numbered.
RankPrograms free_after_last_use(RankPrograms programs);

}  // namespace shoal

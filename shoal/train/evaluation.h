// Evaluation that does not depend on the number of workers.
#pragma once

#include "shoal/execute/executor.h"
#include "shoal/train/observer.h"
#include "shoal/train/prepared_job.h"

namespace shoal {

// The set is cut into batches of a fixed size by global index; whole batches are dealt to the parts
// of the batch; every batch's sums are exact, and they are added in the order of the batches. So
// the result is that of one worker to the last bit. All ranks call it; all get the result.
EvaluationReport evaluate_set(Executor& executor, const PreparedJob& prepared, int rank,
                              const Dataset& set, const std::string& name);

}  // namespace shoal

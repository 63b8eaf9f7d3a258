// Prediction that does not depend on the number of workers.
#pragma once

#include <functional>

#include "shoal/execute/executor.h"
#include "shoal/train/prepared_job.h"

namespace shoal {

// Gets the outputs of the next samples, [samples, ...], float32 or float64, on the CPU.
using PredictionSink = std::function<void(const at::Tensor& outputs)>;

// The set is cut into batches by global index, as evaluate_set() does, so every output has the same
// bits whatever the number of workers. All ranks call it; `sink` is called on rank 0 alone, in the
// order of the samples. Memory: the outputs of one batch of each worker. Throws what the executor
// and `sink` throw.
void predict_set(Executor& executor, const PreparedJob& prepared, int rank, const Dataset& set,
                 const PredictionSink& sink);

}  // namespace shoal

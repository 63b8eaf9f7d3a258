// Brings batches from the data module to the executor as tensors.
#pragma once

#include <cstdint>
#include <memory>

#include "shoal/data/dataset.h"
#include "shoal/data/loader.h"
#include "shoal/data/sampler.h"
#include "shoal/execute/executor.h"
#include "shoal/train/prepared_job.h"

namespace shoal {

// This rank's place among the parts of the batch.
struct BatchPart {
  int index = 0;
  int parts = 1;
};
BatchPart batch_part(const Plan& plan, int rank);

TraceSpan trace_span(const DataSpan& span);

// A batch as tensors of the model's type; ids stay int64. The inputs borrow the batch's memory when
// they can.
StepBatch as_tensors(std::shared_ptr<Batch> batch, at::ScalarType type);

// The order of the training samples.
Sampler make_sampler(const PreparedJob& prepared);

// This rank's part of every global batch from `first_step` on. One thread calls next().
class BatchFeed {
 public:
  BatchFeed(const PreparedJob& prepared, BatchPart part, std::int64_t first_step,
            std::int64_t total_steps, std::shared_ptr<Trace> trace);
  ~BatchFeed();
  StepBatch next(Deadline deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal

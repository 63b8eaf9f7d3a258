// What a block asks of the ranks that hold the other samples of its batch.
#pragma once

#include <ATen/core/Tensor.h>

namespace shoal {

// Made by the executor for a block whose facts have sums, and by the recorder to find them out.
class BatchSums {
 public:
  virtual ~BatchSums() = default;
  // Adds up `values` ([n], contiguous, float64) over all ranks of the batch, in place: the same
  // bits on all of them. Every rank calls it as often and with as many elements in each training
  // forward and each backward, also with 0 samples. Blocks until all have come; throws what a
  // collective throws, and InvalidInput when the call is not the one that was recorded.
  virtual void sum(at::Tensor& values) = 0;
};

}  // namespace shoal

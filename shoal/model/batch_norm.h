// Batch norm over the samples of all ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include "shoal/model/batch_sums.h"

namespace shoal {

// Running statistics to move, or undefined tensors to leave them. [channels], of the weights' type.
struct RunningStatistics {
  at::Tensor mean;
  at::Tensor variance;
  double momentum = 0.1;
};

// x: [samples, channels, ...], samples may be 0 here while other ranks have some; weight, bias:
// [channels]. Normalises by mean and variance over the whole batch; the gradient is that of the
// whole batch's function, so it equals one worker's to rounding, however the batch is cut. One sum
// of 2 x channels + 1 float64 forward, one of 2 x channels backward. `sums` is borrowed until the
// backward is over. Throws InvalidInput when the batch has a single value per channel.
// Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, section 3.
at::Tensor batch_norm_over_ranks(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, double epsilon, BatchSums& sums,
                                 RunningStatistics running);

}  // namespace shoal

// A second set of weights that follows the trained ones slowly, and often does better.
// Source: Polyak and Juditsky, SIAM J. Control Optim. 1992, with exponential weights as is usual;
// the numbers of torch.optim.swa_utils.get_ema_multi_avg_fn(decay).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace shoal {

// After update number `count` (from 1): average = decay x average + (1 - decay) x parameter; the
// first one makes it the parameter. Same shapes and types. Cost: one pass over both.
void update_averages(double decay, std::int64_t count, std::vector<at::Tensor>& averages,
                     const std::vector<at::Tensor>& parameters);

}  // namespace shoal

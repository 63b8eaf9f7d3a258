// Updates for which LibTorch has no fused CPU kernel: its ordinary operations on chunks that stay
// in the cache from one to the next, so memory is passed over once.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "shoal/optim/optimizer.h"

namespace shoal {

// One parameter with what its update reads and writes, all of the same shape. The gradient is
// scratch afterwards.
struct UpdatedParameter {
  at::Tensor parameter;
  at::Tensor gradient;
  std::vector<at::Tensor> states;  // as new_states gives them
};

// Without autograd (the caller's guard). Bits depend on the arguments only.
void rmsprop_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                    const UpdateFacts& facts);
void lamb_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                 const UpdateFacts& facts);
void lars_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                 const UpdateFacts& facts);

}  // namespace shoal

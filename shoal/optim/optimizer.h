// Optimizers as functions on parameters, gradients and states: no module, no autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

enum class OptimizerKind : std::uint8_t { sgd, adam, adamw };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0;                            // sgd
  bool nesterov = false;                          // sgd
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adam, adamw
  double weight_decay =
      0;  // adamw: decoupled; sgd and adam: added to the gradient, as torch.optim does
  std::optional<double> clip_norm =
      std::nullopt;  // the global gradient norm (of the mean loss) is at most this
  std::vector<std::string> problems() const;
  // Options that were set but have no effect with this kind, for a warning.
  std::vector<std::string> without_effect() const;
};
// For the job's [train] table: optimizer, momentum, nesterov, betas, eps, weight_decay, clip_norm.
std::vector<Option> entries(OptimizerOptions& options);

// What an update multiplies and counts by.
struct UpdateFacts {
  double rate = 0;            // learning rate of this step
  double gradient_scale = 1;  // the gradient handed over times this is that of the mean loss
  std::int64_t count = 1;     // updates applied including this one, from 1 (bias correction)
};

// The states that each parameter has, in order: {"momentum"}, {"exp_avg", "exp_avg_sq"}, {}.
std::vector<std::string> state_names(const OptimizerOptions& options);

// Zero states for a parameter: same shape and type, lying in memory as it does.
std::vector<at::Tensor> new_states(const OptimizerOptions& options, const at::Tensor& parameter);

// parameters[i], gradients[i] (defined, same shape, lying in memory alike and dense), states[i] as
// new_states gives them; all
// updated in place, gradients may be used as scratch. Equal to torch.optim's to rounding; the same
// bits on every rank that is given the same bits. Uses LibTorch's fused CPU kernels.
void update(const OptimizerOptions& options, std::vector<at::Tensor>& parameters,
            std::vector<at::Tensor>& gradients, std::vector<std::vector<at::Tensor>>& states,
            const UpdateFacts& facts);

}  // namespace shoal

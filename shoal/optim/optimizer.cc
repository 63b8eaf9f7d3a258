#include "shoal/optim/optimizer.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include "shoal/core/check.h"
#include "shoal/optim/chunked_updates.h"

namespace shoal {
namespace {

// The kernels divide gradients by a float32 scale. In float64 that would lose digits, so there the
// gradients are scaled beforehand.
std::optional<at::Tensor> kernel_scale(std::vector<at::Tensor>& gradients, double scale) {
  if (scale == 1) return std::nullopt;
  if (gradients.front().scalar_type() == at::kDouble) {
    for (auto& gradient : gradients) gradient.mul_(scale);
    return std::nullopt;
  }
  return at::scalar_tensor(1 / scale, gradients.front().options().dtype(at::kFloat));
}

std::vector<at::Tensor> column(const std::vector<std::vector<at::Tensor>>& states, std::size_t i) {
  std::vector<at::Tensor> taken;
  taken.reserve(states.size());
  for (const auto& of_parameter : states) taken.push_back(of_parameter.at(i));
  return taken;
}

// The optimizers for which LibTorch has a fused kernel.
class FusedUpdate {
 public:
  FusedUpdate(const OptimizerOptions& options, std::vector<at::Tensor>& parameters,
              std::vector<at::Tensor>& gradients,
              const std::vector<std::vector<at::Tensor>>& states, const UpdateFacts& facts)
      : options_(options),
        parameters_(parameters),
        gradients_(gradients),
        states_(states),
        facts_(facts),
        scale_(kernel_scale(gradients, facts.gradient_scale)) {
    // The kernels look at the scale only when they are given a flag for overflow too.
    if (scale_) found_inf_ = at::zeros_like(*scale_);
  }

  void sgd() {
    const auto momentum = options_.momentum != 0 ? column(states_, 0) : std::vector<at::Tensor>{};
    at::_fused_sgd_(parameters_, gradients_, momentum, options_.weight_decay, options_.momentum,
                    facts_.rate, /*dampening=*/0, options_.nesterov, /*maximize=*/false,
                    /*is_first_step=*/facts_.count == 1, scale_, found_inf_);
  }

  void adam() {
    const auto kernel = [this](auto fused) {
      const auto largest = options_.amsgrad ? column(states_, 2) : std::vector<at::Tensor>{};
      fused(parameters_, gradients_, column(states_, 0), column(states_, 1), largest, counts(),
            facts_.rate, options_.beta1, options_.beta2, options_.weight_decay,
            options_.denominator_eps(), options_.amsgrad, /*maximize=*/false, scale_, found_inf_);
    };
    if (options_.kind == OptimizerKind::adam) {
      kernel([](auto&&... all) { at::_fused_adam_(all...); });
    } else {
      kernel([](auto&&... all) { at::_fused_adamw_(all...); });
    }
  }

  void adagrad() {
    at::_fused_adagrad_(parameters_, gradients_, column(states_, 0), counts(), facts_.rate,
                        options_.lr_decay, options_.weight_decay, options_.denominator_eps(),
                        /*maximize=*/false, scale_, found_inf_);
  }

 private:
  std::vector<at::Tensor> counts() const {
    return {parameters_.size(), at::scalar_tensor(static_cast<double>(facts_.count),
                                                  parameters_.front().options().dtype(at::kFloat))};
  }

  const OptimizerOptions& options_;
  std::vector<at::Tensor>& parameters_;
  std::vector<at::Tensor>& gradients_;
  const std::vector<std::vector<at::Tensor>>& states_;
  const UpdateFacts& facts_;
  std::optional<at::Tensor> scale_;
  std::optional<at::Tensor> found_inf_;
};

}  // namespace

void update(const OptimizerOptions& options, std::vector<at::Tensor>& parameters,
            std::vector<at::Tensor>& gradients, std::vector<std::vector<at::Tensor>>& states,
            const UpdateFacts& facts) {
  check_equal(gradients.size(), parameters.size(), "one gradient a parameter");
  check_equal(states.size(), parameters.size(), "one list of states a parameter");
  if (parameters.empty()) return;
  const at::NoGradGuard no_grad;
  if (!facts.decays && options.weight_decay != 0) {
    OptimizerOptions plain = options;
    plain.weight_decay = 0;
    return update(plain, parameters, gradients, states, facts);
  }
  if (options.clip_value) {
    const double largest = *options.clip_value / facts.gradient_scale;
    for (at::Tensor& gradient : gradients) gradient.clamp_(-largest, largest);
  }
  const auto each = [&](auto rule) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      rule(options, UpdatedParameter{parameters[i], gradients[i], states[i]}, facts);
    }
  };
  switch (options.kind) {
    case OptimizerKind::sgd:
      return FusedUpdate(options, parameters, gradients, states, facts).sgd();
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      return FusedUpdate(options, parameters, gradients, states, facts).adam();
    case OptimizerKind::adagrad:
      return FusedUpdate(options, parameters, gradients, states, facts).adagrad();
    case OptimizerKind::rmsprop:
      return each(rmsprop_update);
    case OptimizerKind::lamb:
      return each(lamb_update);
    case OptimizerKind::lars:
      return each(lars_update);
  }
}

}  // namespace shoal

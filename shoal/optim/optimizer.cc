#include "shoal/optim/optimizer.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <cmath>

#include "shoal/core/check.h"

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
  return at::scalar_tensor(1 / scale, at::kFloat);
}

std::vector<at::Tensor> column(const std::vector<std::vector<at::Tensor>>& states, std::size_t i) {
  std::vector<at::Tensor> taken;
  taken.reserve(states.size());
  for (const auto& of_parameter : states) taken.push_back(of_parameter.at(i));
  return taken;
}

}  // namespace

std::vector<std::string> OptimizerOptions::problems() const {
  std::vector<std::string> faults;
  const auto fraction = [&](const char* name, double value) {
    if (!(value >= 0 && value < 1)) {
      faults.push_back(fmt::format("{} is {}: give at least 0 and less than 1", name, value));
    }
  };
  fraction("momentum", momentum);
  fraction("beta1", beta1);
  fraction("beta2", beta2);
  if (!(eps > 0 && std::isfinite(eps)))
    faults.push_back(fmt::format("eps is {}: give a small positive number", eps));
  if (!(weight_decay >= 0 && std::isfinite(weight_decay))) {
    faults.push_back(fmt::format("weight_decay is {}: give 0 or more", weight_decay));
  }
  if (nesterov && momentum == 0) {
    faults.push_back("nesterov needs momentum: set momentum above 0 or nesterov = false");
  }
  if (clip_norm && !(*clip_norm > 0 && std::isfinite(*clip_norm))) {
    faults.push_back(
        fmt::format("clip_norm is {}: give a positive number or leave it out", *clip_norm));
  }
  return faults;
}

std::vector<std::string> OptimizerOptions::without_effect() const {
  std::vector<std::string> idle;
  const OptimizerOptions standard;
  if (kind != OptimizerKind::sgd) {
    if (momentum != standard.momentum) idle.push_back("momentum");
    if (nesterov != standard.nesterov) idle.push_back("nesterov");
  } else {
    if (beta1 != standard.beta1) idle.push_back("beta1");
    if (beta2 != standard.beta2) idle.push_back("beta2");
    if (eps != standard.eps) idle.push_back("eps");
  }
  return idle;
}

std::vector<Option> entries(OptimizerOptions& o) {
  return {
      choice("optimizer", o.kind,
             {{"sgd", OptimizerKind::sgd},
              {"adam", OptimizerKind::adam},
              {"adamw", OptimizerKind::adamw}},
             "How gradients change the weights. Equal to torch.optim's SGD, Adam and AdamW."),
      option("momentum", o.momentum, "sgd: share of the previous update that is kept."),
      option("nesterov", o.nesterov, "sgd: look ahead along the momentum; needs momentum."),
      option("beta1", o.beta1, "adam, adamw: decay of the mean of gradients."),
      option("beta2", o.beta2, "adam, adamw: decay of the mean of squared gradients."),
      option("eps", o.eps, "adam, adamw: added to the denominator (Keras uses 1e-7)."),
      option("weight_decay", o.weight_decay,
             "adamw: weights shrink by rate x this each update; sgd, adam: added to the gradient "
             "times the weight."),
      option("clip_norm", o.clip_norm,
             "Gradients are scaled down so that the norm over all parameters is at most this."),
  };
}

std::vector<std::string> state_names(const OptimizerOptions& options) {
  if (options.kind != OptimizerKind::sgd) return {"exp_avg", "exp_avg_sq"};
  if (options.momentum != 0) return {"momentum"};
  return {};
}

std::vector<at::Tensor> new_states(const OptimizerOptions& options, const at::Tensor& parameter) {
  std::vector<at::Tensor> states;
  for (std::size_t i = 0; i < state_names(options).size(); ++i) {
    states.push_back(at::zeros_like(parameter, parameter.options().requires_grad(false)));
  }
  return states;
}

void update(const OptimizerOptions& options, std::vector<at::Tensor>& parameters,
            std::vector<at::Tensor>& gradients, std::vector<std::vector<at::Tensor>>& states,
            const UpdateFacts& facts) {
  check_equal(gradients.size(), parameters.size(), "one gradient a parameter");
  check_equal(states.size(), parameters.size(), "one list of states a parameter");
  if (parameters.empty()) return;
  const at::NoGradGuard no_grad;
  const auto scale = kernel_scale(gradients, facts.gradient_scale);
  // The kernels look at the scale only when they are given a flag for overflow too.
  const std::optional<at::Tensor> found_inf =
      scale ? std::optional(at::zeros({}, at::kFloat)) : std::nullopt;

  if (options.kind == OptimizerKind::sgd) {
    const auto momentum = options.momentum != 0 ? column(states, 0) : std::vector<at::Tensor>{};
    at::_fused_sgd_(parameters, gradients, momentum, options.weight_decay, options.momentum,
                    facts.rate, /*dampening=*/0, options.nesterov, /*maximize=*/false,
                    /*is_first_step=*/facts.count == 1, scale, found_inf);
    return;
  }
  const std::vector<at::Tensor> counts(
      parameters.size(), at::scalar_tensor(static_cast<double>(facts.count), at::kFloat));
  const auto mean = column(states, 0);
  const auto square = column(states, 1);
  if (options.kind == OptimizerKind::adam) {
    at::_fused_adam_(parameters, gradients, mean, square, {}, counts, facts.rate, options.beta1,
                     options.beta2, options.weight_decay, options.eps, /*amsgrad=*/false,
                     /*maximize=*/false, scale, found_inf);
  } else {
    at::_fused_adamw_(parameters, gradients, mean, square, {}, counts, facts.rate, options.beta1,
                      options.beta2, options.weight_decay, options.eps, /*amsgrad=*/false,
                      /*maximize=*/false, scale, found_inf);
  }
}

}  // namespace shoal

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "shoal/optim/optimizer.h"
#include "shoal/program/name_pattern.h"

namespace shoal {
namespace {

std::string an_example(const std::vector<BlockFacts>& blocks) {
  for (const BlockFacts& block : blocks) {
    if (!block.parameters.empty()) return block.parameters.back().name;
  }
  return "0.linear.bias";
}

}  // namespace

double OptimizerOptions::denominator_eps() const {
  if (eps) return *eps;
  return kind == OptimizerKind::adagrad ? 1e-10 : kind == OptimizerKind::lamb ? 1e-6 : 1e-8;
}

std::vector<std::string> OptimizerOptions::problems() const {
  std::vector<std::string> faults;
  const auto fraction = [&](const char* name, double value) {
    if (!(value >= 0 && value < 1)) {
      faults.push_back(fmt::format("{} is {}: give at least 0 and less than 1", name, value));
    }
  };
  const auto not_negative = [&](const char* name, double value) {
    if (!(value >= 0 && std::isfinite(value))) {
      faults.push_back(fmt::format("{} is {}: give 0 or more", name, value));
    }
  };
  fraction("momentum", momentum);
  fraction("beta1", beta1);
  fraction("beta2", beta2);
  fraction("alpha", alpha);
  if (eps && !(*eps > 0 && std::isfinite(*eps)))
    faults.push_back(fmt::format("eps is {}: give a small positive number", *eps));
  not_negative("lr_decay", lr_decay);
  not_negative("initial_accumulator", initial_accumulator);
  if (!(trust_coefficient > 0 && std::isfinite(trust_coefficient))) {
    faults.push_back(
        fmt::format("trust_coefficient is {}: give a small positive number", trust_coefficient));
  }
  not_negative("weight_decay", weight_decay);
  for (const std::string& pattern : no_decay) {
    if (is_name_pattern(pattern)) continue;
    faults.push_back(fmt::format(
        "no_decay has \"{}\": give a parameter's name, or its beginning and one '*'", pattern));
  }
  if (nesterov && momentum == 0) {
    faults.push_back("nesterov needs momentum: set momentum above 0 or nesterov = false");
  }
  const auto positive_or_none = [&](const char* name, const std::optional<double>& value) {
    if (value && !(*value > 0 && std::isfinite(*value))) {
      faults.push_back(
          fmt::format("{} is {}: give a positive number or leave it out", name, *value));
    }
  };
  positive_or_none("clip_norm", clip_norm);
  positive_or_none("clip_value", clip_value);
  return faults;
}

bool OptimizerOptions::decays(const std::string& name, std::int64_t dims) const {
  if (dims < 2 && !decay_vectors) return false;
  return std::none_of(no_decay.begin(), no_decay.end(),
                      [&](const std::string& pattern) { return matches_name(pattern, name); });
}

std::vector<std::string> fit_problems(const OptimizerOptions& options,
                                      const std::vector<BlockFacts>& blocks) {
  std::vector<std::string> faults;
  for (const std::string& pattern : options.no_decay) {
    const bool known = std::any_of(blocks.begin(), blocks.end(), [&](const BlockFacts& block) {
      return std::any_of(
          block.parameters.begin(), block.parameters.end(),
          [&](const ParameterFacts& parameter) { return matches_name(pattern, parameter.name); });
    });
    if (known) continue;
    faults.push_back(fmt::format(
        "[train] no_decay has \"{}\", which no parameter of the model matches: they are named by "
        "block and layer, such as {}",
        pattern, an_example(blocks)));
  }
  return faults;
}

std::vector<Option> entries(OptimizerOptions& o) {
  // lamb and lars leave out of their own rates what is not decayed, so there it matters anyway.
  const OnlyWith decays{"weight_decay", {}, {{"optimizer", {"lamb", "lars"}}}};
  const auto of = [](std::vector<std::string> kinds, Option option) {
    return only_with({"optimizer", std::move(kinds)}, std::move(option));
  };
  return {
      choice(
          "optimizer", o.kind,
          {{"sgd", OptimizerKind::sgd},
           {"adam", OptimizerKind::adam},
           {"adamw", OptimizerKind::adamw},
           {"rmsprop", OptimizerKind::rmsprop},
           {"adagrad", OptimizerKind::adagrad},
           {"lamb", OptimizerKind::lamb},
           {"lars", OptimizerKind::lars}},
          "How gradients change the weights. Equal to torch.optim's of that name; lamb and lars, "
          "for large batches, follow their papers."),
      of({"sgd", "rmsprop", "lars"},
         option("momentum", o.momentum, "Share of the previous update that is kept.")),
      of({"sgd"}, option("nesterov", o.nesterov, "Look ahead along the momentum; needs momentum.")),
      of({"adam", "adamw", "lamb"}, option("beta1", o.beta1, "Decay of the mean of gradients.")),
      of({"adam", "adamw", "lamb"},
         option("beta2", o.beta2, "Decay of the mean of squared gradients.")),
      of({"adam", "adamw"},
         option("amsgrad", o.amsgrad, "Divide by the largest mean of squared gradients so far.")),
      of({"rmsprop"}, option("alpha", o.alpha, "Decay of the mean of squared gradients.")),
      of({"rmsprop"},
         option("centered", o.centered,
                "Divide by the gradients' deviation, for which a mean of gradients is kept.")),
      of({"adagrad"},
         option("lr_decay", o.lr_decay, "The rate is divided by 1 + this x the updates before.")),
      of({"adagrad"}, option("initial_accumulator", o.initial_accumulator,
                             "What the sums of squared gradients begin with.")),
      of({"lars"}, option("trust_coefficient", o.trust_coefficient,
                          "A parameter's own rate is lr times this times the norm of its weights "
                          "over that of its gradient.")),
      of({"adam", "adamw", "rmsprop", "adagrad", "lamb"},
         option("eps", o.eps,
                "Added to the denominator. none: 1e-10 for adagrad, 1e-6 for lamb, else 1e-8 "
                "(Keras uses 1e-7).")),
      option("weight_decay", o.weight_decay,
             "Weights shrink by rate x this each update with adamw and lamb (lamb: times the "
             "parameter's trust ratio); else it is added to the gradient times the weight."),
      only_with(decays, option("no_decay", o.no_decay,
                               "Parameters that are not decayed: names, or beginnings of names and "
                               "'*'. lamb and lars give them the plain rate.")),
      only_with(decays, option("decay_vectors", o.decay_vectors,
                               "Whether parameters with less than two dims (biases, scales of "
                               "norms) are decayed, too.")),
      option("clip_norm", o.clip_norm,
             "Gradients are scaled down so that the norm over all parameters is at most this."),
      option("clip_value", o.clip_value,
             "Each element of the mean loss's gradient is cut to this size, after clip_norm."),
  };
}

std::vector<std::string> state_names(const OptimizerOptions& options) {
  std::vector<std::string> names;
  switch (options.kind) {
    case OptimizerKind::sgd:
      if (options.momentum != 0) names = {"momentum"};
      break;
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      names = {"exp_avg", "exp_avg_sq"};
      if (options.amsgrad) names.emplace_back("max_exp_avg_sq");
      break;
    case OptimizerKind::rmsprop:
      names = {"square_avg"};
      if (options.centered) names.emplace_back("grad_avg");
      if (options.momentum != 0) names.emplace_back("momentum_buffer");
      break;
    case OptimizerKind::adagrad:
      names = {"sum"};
      break;
    case OptimizerKind::lamb:
      names = {"exp_avg", "exp_avg_sq"};
      break;
    case OptimizerKind::lars:
      names = {"momentum"};
      break;
  }
  return names;
}

std::vector<at::Tensor> new_states(const OptimizerOptions& options, const at::Tensor& parameter) {
  std::vector<at::Tensor> states;
  for (std::size_t i = 0; i < state_names(options).size(); ++i) {
    states.push_back(at::zeros_like(parameter, parameter.options().requires_grad(false)));
  }
  if (options.kind == OptimizerKind::adagrad && options.initial_accumulator != 0) {
    states.front().fill_(options.initial_accumulator);
  }
  return states;
}

}  // namespace shoal

#include "shoal/optim/rate.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "shoal/core/check.h"

namespace shoal {

std::vector<std::string> RateOptions::problems() const {
  std::vector<std::string> faults;
  if (!(lr > 0 && std::isfinite(lr)))
    faults.push_back(fmt::format("lr is {}: give a positive number", lr));
  if (warmup_steps < 0) {
    faults.push_back(fmt::format("warmup_steps is {}: give 0 or more", warmup_steps));
  }
  if (kind == RateKind::step && step_every < 1) {
    faults.push_back(
        fmt::format("lr_schedule \"step\" needs lr_step_every of 1 or more, not {}", step_every));
  }
  if (!(step_factor > 0 && step_factor <= 1)) {
    faults.push_back(
        fmt::format("lr_step_factor is {}: give more than 0 and at most 1", step_factor));
  }
  if (!(final_fraction >= 0 && final_fraction <= 1)) {
    faults.push_back(fmt::format("lr_final_fraction is {}: give 0 to 1", final_fraction));
  }
  return faults;
}

std::vector<Option> entries(RateOptions& o) {
  return {
      option("lr", o.lr, "Reference learning rate."),
      choice("lr_schedule", o.kind,
             {{"constant", RateKind::constant},
              {"step", RateKind::step},
              {"cosine", RateKind::cosine}},
             "How the rate falls after warm-up."),
      option("warmup_steps", o.warmup_steps,
             "Updates over which the rate rises from 0 in equal steps."),
      option("lr_step_every", o.step_every, "Schedule step: updates between two falls."),
      option("lr_step_factor", o.step_factor, "Schedule step: the rate times this at each fall."),
      option("lr_final_fraction", o.final_fraction,
             "Schedule cosine: rate at the end as a share of lr."),
      choice("lr_scaling", o.scaling,
             {{"none", RateScaling::none}, {"linear", RateScaling::linear}},
             "linear: lr times the number of parts of the batch."),
  };
}

double rate_at(const RateOptions& options, std::int64_t step, std::int64_t total_steps,
               int batch_parts) {
  check(step >= 0, "steps count from 0");
  const double top = options.scaling == RateScaling::linear ? options.lr * batch_parts : options.lr;
  if (step < options.warmup_steps) {
    return top * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  const std::int64_t done = step - options.warmup_steps;
  switch (options.kind) {
    case RateKind::constant:
      return top;
    case RateKind::step:
      return top * std::pow(options.step_factor, static_cast<double>(done / options.step_every));
    case RateKind::cosine: {
      const auto span =
          static_cast<double>(std::max<std::int64_t>(1, total_steps - options.warmup_steps));
      const double share = std::min(1.0, static_cast<double>(done) / span);
      const double low = top * options.final_fraction;
      return low + (top - low) * 0.5 * (1 + std::cos(std::numbers::pi * share));
    }
  }
  return top;
}

}  // namespace shoal

// Learning rates by step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

enum class RateKind : std::uint8_t { constant, step, cosine };
enum class RateScaling : std::uint8_t { none, linear };

struct RateOptions {
  double lr = 0.01;  // reference rate
  RateKind kind = RateKind::constant;
  std::int64_t warmup_steps = 0;            // rises in equal steps per update; Goyal et al. 2017
  std::int64_t step_every = 0;              // kind step: updates between two falls
  double step_factor = 0.1;                 // kind step: rate is multiplied by this at each fall
  double final_fraction = 0;                // kind cosine: rate at the end over rate at the start
  RateScaling scaling = RateScaling::none;  // linear: times the number of batch parts
  std::vector<std::string> problems() const;
};
std::vector<Option> entries(
    RateOptions& options);  // lr, lr_schedule, warmup_steps, lr_scaling, ...

// Rate of update `step` (from 0) of `total_steps`, with `batch_parts` parts of the batch.
double rate_at(const RateOptions& options, std::int64_t step, std::int64_t total_steps,
               int batch_parts);

}  // namespace shoal

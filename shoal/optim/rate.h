// Learning rates by step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

enum class RateKind : std::uint8_t { constant, step, cosine, linear, polynomial, one_cycle };
enum class RateScaling : std::uint8_t {
  none,
  linear,  // the top rate is lr times the number of batch parts
  batch,   // the top rate is lr times batch / base_batch; Goyal et al., arXiv 1706.02677
};
enum class WarmupFrom : std::uint8_t {
  zero,   // the first update takes one of the equal steps already
  lr,     // the first update has lr as given, not scaled; Goyal et al., section 2.2
  share,  // the first update has warmup_share of the top rate
};
enum class Anneal : std::uint8_t { cosine, linear };

struct RateOptions {
  double lr = 0.01;  // reference rate; the top rate is this times what `scaling` says
  RateKind kind = RateKind::constant;
  std::int64_t warmup_steps = 0;  // rises in equal steps per update to the top rate
  WarmupFrom warmup_from = WarmupFrom::zero;
  double warmup_share = 0.1;
  std::int64_t step_every = 0;  // kind step: updates between two falls
  double step_factor = 0.1;     // kind step: rate is multiplied by this at each fall
  double power = 1;             // kind polynomial
  double final_fraction = 0;    // cosine, linear, polynomial: rate at the end over the top rate
  // Kind one_cycle, Smith and Topin, arXiv 1708.07120: from top / start_divisor to the top rate in
  // this share of all updates, then down to top / start_divisor / end_divisor.
  double rise = 0.3;
  Anneal anneal = Anneal::cosine;
  double start_divisor = 25, end_divisor = 1e4;
  RateScaling scaling = RateScaling::none;
  std::int64_t base_batch = 256;  // scaling batch: the batch that lr was found for
  std::vector<std::string> problems() const;
};
std::vector<Option> entries(
    RateOptions& options);  // lr, lr_schedule, warmup_steps, lr_scaling, ...

// What a rate depends on beside the step.
struct RateFacts {
  std::int64_t total_steps = 1;
  int batch_parts = 1;
  std::int64_t batch = 1;  // samples per update
};

// Rate of update `step`, counted from 0. Equal to torch.optim.lr_scheduler's StepLR,
// CosineAnnealingLR, LinearLR, PolynomialLR and OneCycleLR (without its momentum), with the updates
// after warm-up as their own.
double rate_at(const RateOptions& options, std::int64_t step, const RateFacts& facts);

}  // namespace shoal

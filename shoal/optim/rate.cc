#include "shoal/optim/rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "shoal/core/check.h"

namespace shoal {
namespace {

double top_rate(const RateOptions& options, const RateFacts& facts) {
  switch (options.scaling) {
    case RateScaling::none:
      return options.lr;
    case RateScaling::linear:
      return options.lr * facts.batch_parts;
    case RateScaling::batch:
      return options.lr * static_cast<double>(facts.batch) /
             static_cast<double>(options.base_batch);
  }
  return options.lr;
}

double warming_up(const RateOptions& options, std::int64_t step, double top) {
  const auto steps = static_cast<double>(options.warmup_steps);
  const auto done = static_cast<double>(step);
  switch (options.warmup_from) {
    case WarmupFrom::zero:
      return top * (done + 1) / steps;
    case WarmupFrom::lr:
      return options.lr + (top - options.lr) * done / steps;
    case WarmupFrom::share:
      return top * (options.warmup_share + (1 - options.warmup_share) * done / steps);
  }
  return top;
}

// From `begin` to `end` as `share` goes from 0 to 1.
double annealed(Anneal anneal, double begin, double end, double share) {
  if (anneal == Anneal::linear) return begin + (end - begin) * share;
  return end + (begin - end) * 0.5 * (1 + std::cos(std::numbers::pi * share));
}

// The last update has the lowest rate, and the phases meet at the end of an update, as in
// OneCycleLR.
double one_cycle(const RateOptions& options, std::int64_t step, double top, double total) {
  const double low = top / options.start_divisor;
  const double peak = options.rise * total - 1;
  const double last = total - 1;
  const double at = std::min(static_cast<double>(step), last);
  const auto share = [](double done, double span) { return span > 0 ? done / span : 1; };
  if (at <= peak) return annealed(options.anneal, low, top, share(at, peak));
  return annealed(options.anneal, top, low / options.end_divisor, share(at - peak, last - peak));
}

}  // namespace

std::vector<std::string> RateOptions::problems() const {
  std::vector<std::string> faults;
  const auto positive = [&](const char* name, double value) {
    if (!(value > 0 && std::isfinite(value))) {
      faults.push_back(fmt::format("{} is {}: give a positive number", name, value));
    }
  };
  const auto share = [&](const char* name, double value) {
    if (!(value >= 0 && value <= 1)) {
      faults.push_back(fmt::format("{} is {}: give 0 to 1", name, value));
    }
  };
  positive("lr", lr);
  if (warmup_steps < 0) {
    faults.push_back(fmt::format("warmup_steps is {}: give 0 or more", warmup_steps));
  }
  if (warmup_steps > 0 && kind == RateKind::one_cycle) {
    faults.push_back(
        "lr_schedule \"one_cycle\" rises by itself, over lr_rise of all updates: leave out "
        "warmup_steps");
  }
  share("warmup_share", warmup_share);
  if (kind == RateKind::step && step_every < 1) {
    faults.push_back(
        fmt::format("lr_schedule \"step\" needs lr_step_every of 1 or more, not {}", step_every));
  }
  if (!(step_factor > 0 && step_factor <= 1)) {
    faults.push_back(
        fmt::format("lr_step_factor is {}: give more than 0 and at most 1", step_factor));
  }
  positive("lr_power", power);
  share("lr_final_fraction", final_fraction);
  share("lr_rise", rise);
  positive("lr_start_divisor", start_divisor);
  positive("lr_end_divisor", end_divisor);
  if (base_batch < 1) {
    faults.push_back(fmt::format("lr_base_batch is {}: give 1 sample or more", base_batch));
  }
  return faults;
}

std::vector<Option> entries(RateOptions& o) {
  const OnlyWith warms_up{"warmup_steps"};
  const auto of = [](std::vector<std::string> kinds, Option option) {
    return only_with({"lr_schedule", std::move(kinds)}, std::move(option));
  };
  return {
      option("lr", o.lr,
             "Reference learning rate. The top rate is this times what lr_scaling says."),
      choice("lr_schedule", o.kind,
             {{"constant", RateKind::constant},
              {"step", RateKind::step},
              {"cosine", RateKind::cosine},
              {"linear", RateKind::linear},
              {"polynomial", RateKind::polynomial},
              {"one_cycle", RateKind::one_cycle}},
             "How the rate falls after warm-up; one_cycle rises first by itself."),
      option("warmup_steps", o.warmup_steps,
             "Updates over which the rate rises in equal steps to the top rate."),
      only_with(
          warms_up,
          choice("warmup_from", o.warmup_from,
                 {{"zero", WarmupFrom::zero}, {"lr", WarmupFrom::lr}, {"share", WarmupFrom::share}},
                 "Where warm-up begins. zero: the first update is one step above 0; lr: it "
                 "has lr as given, not scaled; share: it has warmup_share of the top rate.")),
      only_with({"warmup_from", {"share"}},
                only_with(warms_up, option("warmup_share", o.warmup_share,
                                           "Rate of the first update as a share of the top "
                                           "rate."))),
      of({"step"}, option("lr_step_every", o.step_every, "Updates between two falls.")),
      of({"step"}, option("lr_step_factor", o.step_factor, "The rate times this at each fall.")),
      of({"polynomial"},
         option("lr_power", o.power, "The rate falls with this power of the updates left.")),
      of({"cosine", "linear", "polynomial"}, option("lr_final_fraction", o.final_fraction,
                                                    "Rate at the end as a share of the top rate.")),
      of({"one_cycle"}, option("lr_rise", o.rise, "Share of all updates in which the rate rises.")),
      of({"one_cycle"},
         choice("lr_anneal", o.anneal, {{"cosine", Anneal::cosine}, {"linear", Anneal::linear}},
                "Form of its rise and fall.")),
      of({"one_cycle"}, option("lr_start_divisor", o.start_divisor,
                               "The first update has the top rate over this.")),
      of({"one_cycle"}, option("lr_end_divisor", o.end_divisor,
                               "The last update has the first one's rate over this.")),
      choice("lr_scaling", o.scaling,
             {{"none", RateScaling::none},
              {"linear", RateScaling::linear},
              {"batch", RateScaling::batch}},
             "What the top rate is. none: lr; linear: lr times the number of parts of the batch; "
             "batch: lr times batch / lr_base_batch."),
      only_with({"lr_scaling", {"batch"}},
                option("lr_base_batch", o.base_batch, "The batch that lr was found for.")),
  };
}

double rate_at(const RateOptions& options, std::int64_t step, const RateFacts& facts) {
  check(step >= 0, "steps count from 0");
  const double top = top_rate(options, facts);
  if (step < options.warmup_steps) return warming_up(options, step, top);
  const std::int64_t done = step - options.warmup_steps;
  const auto span =
      static_cast<double>(std::max<std::int64_t>(1, facts.total_steps - options.warmup_steps));
  const double share = std::min(1.0, static_cast<double>(done) / span);
  const double low = top * options.final_fraction;
  switch (options.kind) {
    case RateKind::constant:
      return top;
    case RateKind::step: {
      const std::int64_t falls = done / options.step_every;
      return top * std::pow(options.step_factor, static_cast<double>(falls));
    }
    case RateKind::cosine:
      return annealed(Anneal::cosine, top, low, share);
    case RateKind::linear:
      return annealed(Anneal::linear, top, low, share);
    case RateKind::polynomial:
      return low + (top - low) * std::pow(1 - share, options.power);
    case RateKind::one_cycle:
      return one_cycle(options, step, top, static_cast<double>(facts.total_steps));
  }
  return top;
}

}  // namespace shoal

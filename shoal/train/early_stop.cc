#include "shoal/train/early_stop.h"

#include <fmt/format.h>

#include <cmath>

namespace shoal {

std::vector<std::string> EarlyStopOptions::problems() const {
  std::vector<std::string> faults;
  if (patience < 0) {
    faults.push_back(fmt::format("early_stop_patience is {}: give 0 or more", patience));
  }
  if (!(min_delta >= 0 && std::isfinite(min_delta))) {
    faults.push_back(fmt::format("early_stop_min_delta is {}: give 0 or more", min_delta));
  }
  return faults;
}

std::vector<Option> entries(EarlyStopOptions& o) {
  const OnlyWith stops{"early_stop_patience"};
  return {
      option("early_stop_patience", o.patience,
             "Training ends after so many evaluations on the validation set in a row that bring no "
             "improvement; 0: it never ends early. Needs evaluate_every and [data] validation. "
             "With a [checkpoint] path the best weights are kept there."),
      only_with(stops, option("early_stop_min_delta", o.min_delta,
                              "What counts as an improvement at least.")),
      only_with(
          stops,
          choice("early_stop_metric", o.metric,
                 {{"loss", StopMetric::loss}, {"accuracy", StopMetric::accuracy}},
                 "What has to improve: the loss has to fall, or the accuracy (a share, 0 to 1) to "
                 "rise.")),
  };
}

bool EarlyStop::is_best(const EvaluationReport& report, std::int64_t steps_done) {
  evaluated_step_ = steps_done;
  const bool rises = options_.metric == StopMetric::accuracy;
  const double value = rises ? report.accuracy : report.loss;
  const double gain = rises ? value - best_ : best_ - value;
  const bool better =
      best_step_ < 0 ? std::isfinite(value) : gain > options_.min_delta;  // false for NaN
  if (!better) {
    ++without_improvement_;
    return false;
  }
  best_ = value;
  best_step_ = steps_done;
  without_improvement_ = 0;
  return true;
}

std::string EarlyStop::reason() const {
  const bool rises = options_.metric == StopMetric::accuracy;
  const std::string best =
      best_step_ < 0 ? "there was none that is a number"
                     : fmt::format("the best was {:.4f} after step {}", best_, best_step_);
  return fmt::format("the validation {} has not {} in {} {}: {}", rises ? "accuracy" : "loss",
                     rises ? "risen" : "fallen", without_improvement_,
                     without_improvement_ == 1 ? "evaluation" : "evaluations", best);
}

nlohmann::json EarlyStop::state() const {
  return {{"best", best_},
          {"best_step", best_step_},
          {"evaluated_step", evaluated_step_},
          {"without_improvement", without_improvement_}};
}

void EarlyStop::restore(const nlohmann::json& state) {
  best_ = state.at("best").get<double>();
  best_step_ = state.at("best_step").get<std::int64_t>();
  evaluated_step_ = state.at("evaluated_step").get<std::int64_t>();
  without_improvement_ = state.at("without_improvement").get<std::int64_t>();
}

}  // namespace shoal

// Ends training when the validation set says that more of it does not help.
// Source: Prechelt, Early Stopping - But When?, 1998 (a fixed patience).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/train/observer.h"

namespace shoal {

enum class StopMetric : std::uint8_t { loss, accuracy };

struct EarlyStopOptions {
  std::int64_t patience = 0;  // evaluations without improvement that are borne; 0: never stops
  double min_delta = 0;       // less than this is no improvement
  StopMetric metric = StopMetric::loss;
  std::vector<std::string> problems() const;
};
// For the job's [train] table: early_stop_patience, early_stop_min_delta, early_stop_metric.
std::vector<Option> entries(EarlyStopOptions& options);

// Evaluations are the same on every rank, so ranks agree without a word. One thread.
class EarlyStop {
 public:
  explicit EarlyStop(const EarlyStopOptions& options) : options_(options) {}

  bool on() const { return options_.patience > 0; }
  // An evaluation after `steps_done` updates: whether it is the best one yet. A value that is not a
  // number never is.
  bool is_best(const EvaluationReport& report, std::int64_t steps_done);
  bool stops() const { return on() && without_improvement_ >= options_.patience; }
  std::int64_t evaluated_step() const { return evaluated_step_; }  // -1: none
  std::int64_t best_step() const { return best_step_; }            // -1: none
  double best() const { return best_; }
  // "the validation loss has not fallen for 3 evaluations: the best was 0.2931 after step 4690"
  std::string reason() const;

  // For a checkpoint, and back.
  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  EarlyStopOptions options_;
  double best_ = 0;
  std::int64_t best_step_ = -1;
  std::int64_t evaluated_step_ = -1;
  std::int64_t without_improvement_ = 0;
};

}  // namespace shoal

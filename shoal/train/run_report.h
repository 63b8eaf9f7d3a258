// The figures of a whole run, the same on every rank; `--report FILE` writes them as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/train/observer.h"

namespace shoal {

struct RunReport {
  std::string model;
  std::int64_t parameters = 0;
  int workers = 1;
  std::vector<std::pair<std::string, std::int64_t>> mesh;
  std::int64_t first_step = 0;
  std::int64_t steps = 0;    // done when the run ended, resumed ones included
  std::vector<double> loss;  // one per step of this run: mean over the global batch
  std::vector<EvaluationReport> evaluations;  // the last one is shown as `eval`
  std::string weights_sha256;     // parameters unsharded, float32, little endian, by name
  double samples_per_second = 0;  // without the first step
  double step_p50 = 0;            // seconds
  double step_p99 = 0;
  std::vector<double> step_seconds;  // one per step after the first
  double start_seconds = 0;          // launch to the end of the first step
  double share_compute = 0;          // of the training time of rank 0
  double share_communication = 0;
  double share_data = 0;
  double share_other = 0;
  std::vector<std::int64_t> bytes_sent;         // by rank
  std::vector<std::int64_t> peak_tensor_bytes;  // by rank
  std::vector<std::int64_t> memory_bound;       // by rank, before the first step
  std::vector<double> busy;                     // by rank: share of the time that computes
  std::int64_t skipped_steps = 0;               // not finite, so not applied; of the whole run
  std::string stopped_by;                       // "", "SIGINT", "SIGTERM"
  std::string stopped_early;                    // why, in a sentence; empty when it was not
  std::int64_t best_step = -1;  // updates done at the best evaluation, with early stopping only
};

nlohmann::ordered_json to_json(const RunReport& report);

}  // namespace shoal

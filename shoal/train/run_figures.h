// Collects a run's figures step by step and joins those of all ranks at the end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/execute/executor.h"
#include "shoal/train/observer.h"
#include "shoal/train/prepared_job.h"
#include "shoal/train/run_report.h"

namespace shoal {

std::int64_t steps_per_epoch(const PreparedJob& prepared);

// Texts of all ranks, by rank, on rank 0; elsewhere empty.
std::vector<std::string> gather_texts(Group& world, const std::string& own, Deadline deadline);

struct RunFigures {
  std::chrono::system_clock::time_point launched;
  std::chrono::system_clock::time_point first_step_done;
  std::vector<StepReport> steps;
  TimeShares shares;  // of the training steps
  std::vector<EvaluationReport> evaluations;

  void add(const StepReport& step, const TimeShares& before, const TimeShares& after);

  // All ranks call it. The rate leaves out the first step, which pays for warming up.
  RunReport report(const PreparedJob& prepared, World& world, Executor& executor,
                   std::int64_t peak_tensor_bytes, std::int64_t memory_bound) const;
};

}  // namespace shoal

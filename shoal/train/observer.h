// What a training run tells while it goes on. The command prints it; programs may hang in their
// own.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "shoal/program/memory_bound.h"

namespace shoal {

struct StartReport {
  std::string model;
  std::int64_t parameters = 0;  // of the whole model
  int workers = 1;
  std::string mesh;             // "data 2"
  std::int64_t first_step = 0;  // above 0 after --resume
  std::int64_t total_steps = 0;
  std::int64_t steps_per_epoch = 0;
  std::int64_t samples = 0;  // of the training set
  std::string resumed_from;  // folder; empty for a new run
};

struct StepReport {
  std::int64_t step = 0;  // counted from 0
  std::int64_t epoch = 0;
  double loss = 0;  // mean over the global batch
  double rate = 0;
  double gradient_norm = 0;  // with clip_norm, non_finite = "skip" or precision = "fp16" only
  bool skipped = false;      // not finite: the update was not applied
  std::int64_t samples = 0;  // in this batch
  double seconds = 0;
  // Of them, this rank's: the rest is neither.
  double compute_seconds = 0;
  double communication_seconds = 0;  // not beside compute
  double data_seconds = 0;
};

struct EvaluationReport {
  std::string set;  // "validation", "test"
  double loss = 0;
  double accuracy = 0;  // share of right answers, of all that the samples have; 0 of numbers
  bool classifies = true;
  std::int64_t positions = 1;  // of a sample, at each of which there is a class
  bool averaged = false;  // of the moving average of the weights, not of the weights themselves
  std::int64_t samples = 0;
  std::vector<std::pair<std::string, double>> metrics = {};  // those that [train] metrics names
};

struct MemoryReport {
  MemoryBound bound;          // before the first step
  std::int64_t measured = 0;  // peak of the account in the first step
};

// Called by the thread that trains, on every rank. An observer that throws ends the run.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void started(const StartReport&) {}
  virtual void after_step(const StepReport&) {}
  virtual void after_first_step(const MemoryReport&) {}
  virtual void evaluated(const EvaluationReport&) {}
  virtual void checkpointed(std::int64_t /*step*/, const std::string& /*folder*/) {}
  virtual void warned(const std::string& /*sentence*/) {}
};

}  // namespace shoal

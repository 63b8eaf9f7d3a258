// Writes a run's figures into files while it goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shoal/train/metrics_options.h"
#include "shoal/train/observer.h"

namespace shoal {

// On rank 0 only. A record is one write at the end of each file, so whoever is killed leaves whole
// records, except for one that the disk or the power cut short: that is dropped on resume. A write
// costs some microseconds.
class MetricsObserver final : public Observer {
 public:
  // A new run makes the files; throws InvalidInput when one is there already. With `resume` what is
  // there goes on behind `first_step`: records of later steps, which will be repeated, are cut off.
  // Throws InvalidInput when the folder cannot be made or written, or a file holds something else.
  MetricsObserver(const MetricsOptions& options, bool resume, std::int64_t first_step);
  ~MetricsObserver() override;

  void started(const StartReport& report) override;
  void after_step(const StepReport& report) override;
  void evaluated(const EvaluationReport& report) override;

 private:
  class File;
  std::vector<std::unique_ptr<File>> files_;
  std::int64_t step_;
  std::int64_t epoch_ = 0;
};

}  // namespace shoal

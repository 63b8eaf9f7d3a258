// Shows a run on the terminal, or as plain lines elsewhere.
#pragma once

#include <chrono>
#include <ostream>
#include <string>

#include "shoal/train/observer.h"
#include "shoal/train/run_report.h"

namespace shoal {

enum class Progress : std::uint8_t { bar, lines, quiet };

class ConsoleObserver final : public Observer {
 public:
  ConsoleObserver(std::ostream& out, std::ostream& err, Progress progress)
      : out_(out), err_(err), progress_(progress) {}

  void started(const StartReport& report) override;
  void after_step(const StepReport& report) override;
  void after_first_step(const MemoryReport& report) override;
  void evaluated(const EvaluationReport& report) override;
  void checkpointed(std::int64_t step, const std::string& folder) override;
  void warned(const std::string& sentence) override;
  void finished(const RunReport& report);

 private:
  void line(const std::string& text);  // clears the bar before it
  void draw(const StepReport& report);

  std::ostream& out_;
  std::ostream& err_;
  Progress progress_;
  StartReport start_;
  bool bar_is_shown_ = false;
  double smoothed_loss_ = 0;
  bool has_loss_ = false;
  std::int64_t samples_since_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace shoal

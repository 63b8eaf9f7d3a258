#include "shoal/cli/console_observer.h"

#include <fmt/format.h>

#include <algorithm>

#include "shoal/program/number_text.h"

namespace shoal {
namespace {

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string text_of(const std::vector<std::pair<std::string, double>>& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) {
    text += name.starts_with("top") ? fmt::format(", {} {:.2f} %", name, 100 * value)
                                    : fmt::format(", {} {:.4f}", name, value);
  }
  return text;
}

}  // namespace

void ConsoleObserver::line(const std::string& text) {
  if (progress_ == Progress::quiet) return;
  if (bar_is_shown_) out_ << "\r\033[K";
  bar_is_shown_ = false;
  out_ << text << std::endl;
}

void ConsoleObserver::started(const StartReport& report) {
  start_ = report;
  line(fmt::format("{}: {} parameters, {} samples, {} {} ({}), {} steps of {} an epoch",
                   report.model, report.parameters, report.samples, report.workers,
                   report.workers == 1 ? "worker" : "workers", report.mesh, report.total_steps,
                   report.steps_per_epoch));
  if (!report.resumed_from.empty()) {
    line(fmt::format("resumed from {} at step {}", report.resumed_from, report.first_step));
  }
  since_ = std::chrono::steady_clock::now();
}

void ConsoleObserver::after_first_step(const MemoryReport& report) {
  const double measured = static_cast<double>(report.measured);
  const double off = measured > 0 ? static_cast<double>(report.bound.peak) / measured - 1 : 0;
  line(fmt::format("memory of tensors: {} in the first step, {} expected ({:+.1f} %)",
                   human_bytes(report.measured), human_bytes(report.bound.peak), 100 * off));
}

void ConsoleObserver::after_step(const StepReport& report) {
  if (!report.skipped) {
    smoothed_loss_ = has_loss_ ? 0.95 * smoothed_loss_ + 0.05 * report.loss : report.loss;
    has_loss_ = true;
  }
  samples_since_ += report.samples;
  if (progress_ == Progress::bar) return draw(report);
  const std::int64_t every = std::max<std::int64_t>(1, start_.total_steps / 10);
  if ((report.step + 1) % every != 0 && report.step + 1 != start_.total_steps) return;
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - since_).count();
  line(fmt::format("step {}/{}  epoch {}  loss {:.4f}  {:.0f} samples/s", report.step + 1,
                   start_.total_steps, report.epoch + 1, smoothed_loss_,
                   seconds > 0 ? static_cast<double>(samples_since_) / seconds : 0.0));
  samples_since_ = 0;
  since_ = now;
}

void ConsoleObserver::draw(const StepReport& report) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - since_).count();
  const bool last = report.step + 1 == start_.total_steps;
  if (seconds < 0.1 && !last) return;
  constexpr int kWidth = 30;
  const double share =
      static_cast<double>(report.step + 1) / static_cast<double>(start_.total_steps);
  const int filled = static_cast<int>(share * kWidth);
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.resize(kWidth, '.');
  out_ << fmt::format("\r\033[K[{}] step {}/{}  epoch {}  loss {:.4f}  {:.0f} samples/s", bar,
                      report.step + 1, start_.total_steps, report.epoch + 1, smoothed_loss_,
                      static_cast<double>(samples_since_) / seconds)
       << std::flush;
  bar_is_shown_ = true;
  samples_since_ = 0;
  since_ = now;
  if (last) {
    out_ << std::endl;
    bar_is_shown_ = false;
  }
}

void ConsoleObserver::evaluated(const EvaluationReport& report) {
  const std::string set = report.set + (report.averaged ? ", moving average of weights" : "");
  if (report.positions > 1) {
    line(fmt::format("{}: accuracy {:.2f} %, loss {:.4f} nats a position{} ({} samples of {})", set,
                     100 * report.accuracy, report.loss, text_of(report.metrics), report.samples,
                     report.positions));
  } else if (report.classifies) {
    line(fmt::format("{}: accuracy {:.2f} %, loss {:.4f}{} ({} samples)", set,
                     100 * report.accuracy, report.loss, text_of(report.metrics), report.samples));
  } else {
    line(fmt::format("{}: loss {:.6f}{} ({} samples)", set, report.loss, text_of(report.metrics),
                     report.samples));
  }
}

void ConsoleObserver::checkpointed(std::int64_t step, const std::string& folder) {
  line(fmt::format("checkpoint of step {} in {}", step, folder));
}

void ConsoleObserver::warned(const std::string& sentence) {
  if (bar_is_shown_) out_ << "\r\033[K" << std::flush;
  bar_is_shown_ = false;
  err_ << "warning: " << sentence << std::endl;
}

void ConsoleObserver::finished(const RunReport& report) {
  if (!report.stopped_by.empty()) {
    line(fmt::format("stopped by {} after step {}", report.stopped_by, report.steps));
  }
  if (report.skipped_steps > 0) {
    line(fmt::format("{} of {} steps were not finite and not applied", report.skipped_steps,
                     report.steps));
  }
  if (!report.stopped_early.empty()) {
    line(fmt::format("stopped early after step {}: {}", report.steps, report.stopped_early));
  }
  if (report.step_seconds.empty()) {
    line("no figures of speed: the first step of a run warms up, and there was no second");
  } else {
    line(fmt::format("{:.0f} samples/s, step {:.2f} ms (median), first step done after {:.2f} s",
                     report.samples_per_second, 1e3 * report.step_p50, report.start_seconds));
    line(fmt::format("a step's time: compute {}, communication {}, data {}, other {}",
                     percent(report.share_compute), percent(report.share_communication),
                     percent(report.share_data), percent(report.share_other)));
  }
  line("weights sha256 " + report.weights_sha256);
}

}  // namespace shoal

// A point in time by which a blocking call has to be done. Nested calls share it, so a limit for a
// whole operation stays one limit however many waits it is made of.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace shoal {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline after(std::chrono::nanoseconds duration) {
    const auto now = Clock::now();
    // Durations beyond what the clock can hold mean "never".
    if (duration > Clock::time_point::max() - now) return never();
    return Deadline(now, now + std::chrono::duration_cast<Clock::duration>(duration));
  }
  // For limits that options give in seconds.
  static Deadline after_seconds(double seconds) {
    return after(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
  }
  static Deadline never() { return Deadline(Clock::now(), Clock::time_point::max()); }

  bool passed() const { return end_ != Clock::time_point::max() && Clock::now() >= end_; }
  Clock::time_point time() const { return end_; }
  // Never negative; at most one day, so that it fits every system call.
  std::chrono::milliseconds left() const {
    using std::chrono::milliseconds;
    constexpr milliseconds kDay = std::chrono::hours(24);
    if (end_ == Clock::time_point::max()) return kDay;
    const auto left = std::chrono::ceil<milliseconds>(end_ - Clock::now());
    return std::clamp(left, milliseconds(0), kDay);
  }
  // Time since this deadline was set: what an error message reports as waited.
  std::chrono::milliseconds waited() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_);
  }

 private:
  Deadline(Clock::time_point start, Clock::time_point end) : start_(start), end_(end) {}
  Clock::time_point start_;
  Clock::time_point end_;
};

}  // namespace shoal

// Offering the core between polls, as long as it comes back soon.
#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>

#include "shoal/core/deadline.h"

namespace shoal {

// Among ranks that wait for each other a yield is the cheapest way to the next one's turn (0.5 us).
// To a program that computes it gives a whole turn of the scheduler (4 ms with Linux
// 6.18), and so does every further one; who sleeps instead is woken as soon as its peer has come.
// Any thread.
class Yielding {
 public:
  using Clock = Deadline::Clock;

  // Whether to yield at `now`; otherwise sleep.
  bool pays(Clock::time_point now) const {
    return now.time_since_epoch().count() >= sleep_until_.load(std::memory_order_relaxed);
  }
  // Returns when it has the core again; `now` is when it is called.
  Clock::time_point yield(Clock::time_point now) {
    sched_yield();
    const auto end = Clock::now();
    lasted(now, end);
    return end;
  }
  // That a yield of this thread lasted from `start` to `end`.
  void lasted(Clock::time_point start, Clock::time_point end) {
    constexpr std::chrono::milliseconds kTurnOfAnother{1};
    constexpr std::chrono::milliseconds kForgotten{100};
    if (end - start < kTurnOfAnother) return;
    sleep_until_.store((end + kForgotten).time_since_epoch().count(), std::memory_order_relaxed);
  }

 private:
  std::atomic<Clock::rep> sleep_until_{0};
};

}  // namespace shoal

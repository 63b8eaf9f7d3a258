// Which operations of a run are done, and which gradients are ready before theirs is.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "shoal/core/deadline.h"

namespace shoal {

// Thread safe. A failure anywhere ends all waits of the run.
class OpProgress {
 public:
  // `events`: operations first, gradients after them.
  explicit OpProgress(std::size_t events);

  void start_run();  // nothing is under way (the caller's part)
  void mark(std::size_t event);
  bool is_marked(std::size_t event) const {
    return states_[event].load(std::memory_order_acquire) == State::marked;
  }
  // Returns false when the run failed. The operations waited for have deadlines of their own, so
  // this wait ends when theirs does.
  bool wait(std::size_t event);

  // The first failure is kept.
  void fail(std::exception_ptr failure);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  std::exception_ptr failure() const;

 private:
  // Only the mark of an event that somebody sleeps for has to wake anybody.
  enum class State : std::uint8_t { pending, awaited, marked };

  std::vector<std::atomic<State>> states_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;  // guards failure_ and the sleep
  std::condition_variable changed_;
  std::exception_ptr failure_;
};

}  // namespace shoal

#include "shoal/execute/op_progress.h"

namespace shoal {

OpProgress::OpProgress(std::size_t events) : states_(events) {}

void OpProgress::start_run() {
  for (auto& state : states_) state.store(State::pending, std::memory_order_relaxed);
  failed_.store(false, std::memory_order_release);
  const std::scoped_lock lock(mutex_);
  failure_ = nullptr;
}

void OpProgress::mark(std::size_t event) {
  if (states_[event].exchange(State::marked, std::memory_order_acq_rel) != State::awaited) return;
  // The sleeper holds the mutex from where it says that it awaits the event until it sleeps, so
  // that it hears this.
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

bool OpProgress::wait(std::size_t event) {
  if (is_marked(event)) return true;
  std::unique_lock lock(mutex_);
  State found = State::pending;
  states_[event].compare_exchange_strong(found, State::awaited, std::memory_order_acq_rel);
  changed_.wait(lock, [&] { return is_marked(event) || failed(); });
  return is_marked(event);
}

void OpProgress::fail(std::exception_ptr failure) {
  const std::scoped_lock lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
  failed_.store(true, std::memory_order_release);
  changed_.notify_all();
}

std::exception_ptr OpProgress::failure() const {
  const std::scoped_lock lock(mutex_);
  return failure_;
}

}  // namespace shoal

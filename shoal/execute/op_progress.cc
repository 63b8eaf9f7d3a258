#include "shoal/execute/op_progress.h"

#include <chrono>

namespace shoal {

OpProgress::OpProgress(std::size_t events) : marked_(events) {}

void OpProgress::start_run() {
  for (auto& mark : marked_) mark.store(false, std::memory_order_relaxed);
  failed_.store(false, std::memory_order_release);
  const std::scoped_lock lock(mutex_);
  failure_ = nullptr;
}

void OpProgress::mark(std::size_t event) {
  // Sequentially consistent with the sleeper's count, so that a mark is never missed between a
  // sleeper's last look and its sleep.
  marked_[event].store(true, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

bool OpProgress::wait(std::size_t event) {
  if (is_marked(event)) return true;
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (!marked_[event].load(std::memory_order_seq_cst) && !failed()) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
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

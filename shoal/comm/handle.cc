#include "shoal/comm/handle.h"

#include <fmt/format.h>

#include "shoal/comm/lane.h"
#include "shoal/core/error.h"

namespace shoal {

Ticket::Ticket(Terms terms) : terms_(std::move(terms)) {
  if (terms_.open) terms_.open->fetch_add(1);
}

void Ticket::begin() {
  const std::lock_guard lock(mutex_);
  running_ = true;
}

void Ticket::end(std::exception_ptr error, int source) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    if (decided_) return;
    decided_ = true;
    error_ = std::move(error);
    source_ = source;
    calls.swap(then_);
  }
  for (const auto& call : calls) call();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    // Before anybody hears of it: who waited for the last one may destroy the group then.
    if (terms_.open) terms_.open->fetch_sub(1);
  }
  ended_.notify_all();
}

Handle::State Handle::state() const {
  const std::lock_guard lock(ticket_->mutex_);
  if (ticket_->over_) return ticket_->error_ ? State::failed : State::done;
  return ticket_->running_ ? State::running : State::waiting;
}

bool Handle::over() const {
  const std::lock_guard lock(ticket_->mutex_);
  return ticket_->over_;
}

std::exception_ptr Handle::error() const {
  const std::lock_guard lock(ticket_->mutex_);
  return ticket_->error_;
}

int Handle::source() const {
  const std::lock_guard lock(ticket_->mutex_);
  return ticket_->source_;
}

void Handle::wait(Deadline deadline) const {
  const Ticket::Terms& terms = ticket_->terms_;
  // Whoever carries operations out cannot leave in the middle of one, so only a wait that is at
  // least as patient as the operation does.
  if (!over() && terms.deadline.time() <= deadline.time()) {
    if (const std::shared_ptr<Lane> lane = terms.lane.lock()) {
      while (!over() && lane->carry_out_next(terms.deadline)) {
      }
      lane->leave_to_thread();
    }
  }
  const bool own = !terms.ends_itself && terms.deadline.time() < deadline.time();
  const Deadline limit = own ? terms.deadline : deadline;
  std::unique_lock lock(ticket_->mutex_);
  const auto over = [&] { return ticket_->over_; };
  if (limit.time() == Deadline::Clock::time_point::max()) {
    ticket_->ended_.wait(lock, over);
  } else {
    ticket_->ended_.wait_until(lock, limit.time(), over);
  }
  if (!ticket_->over_) {
    throw TimedOut(fmt::format("{} has not ended after {} ms", terms.what, limit.waited().count()),
                   terms.awaited);
  }
  if (ticket_->error_) std::rethrow_exception(ticket_->error_);
}

void Handle::then(std::function<void()> call) const {
  {
    const std::lock_guard lock(ticket_->mutex_);
    if (!ticket_->decided_) {
      ticket_->then_.push_back(std::move(call));
      return;
    }
  }
  call();
}

}  // namespace shoal

#include "shoal/comm/lane.h"

#include <chrono>

#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

// A caller who is going to wait does so within a microsecond or two, unless it is interrupted.
constexpr std::chrono::microseconds kLeftToCallers{100};

std::exception_ptr error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace

void Lane::stop() {
  std::unique_lock lock(mutex_);
  stop_ = true;
  std::deque<Item> dropped;
  dropped.swap(items_);
  to_do_.notify_one();
  free_.wait(lock, [&] { return !busy_; });
  lock.unlock();
  if (thread_.joinable()) thread_.join();
  for (const Item& item : dropped) {
    if (!item.ticket) continue;
    item.ticket->end(std::make_exception_ptr(Cancelled("its group was destroyed before it began")));
  }
}

void Lane::add(Work work, Start start) { add(Item{std::move(work), nullptr}, start); }

void Lane::add(Item item, Start start) {
  const std::lock_guard lock(mutex_);
  items_.push_back(std::move(item));
  hurry_ = hurry_ || start == Start::now;
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { serve(); });
  } else {
    to_do_.notify_one();
  }
}

Handle Lane::start(std::string what, std::function<void()> call, Deadline deadline, Start start) {
  const auto ticket = std::make_shared<Ticket>(Ticket::Terms{
      .what = std::move(what), .deadline = deadline, .lane = weak_from_this(), .open = open_});
  const auto work = [ticket, call = std::move(call)](Deadline) {
    ticket->begin();
    ticket->end(error_of(call));
  };
  add(Item{work, ticket}, start);
  return Handle(ticket);
}

void Lane::run(const std::function<void()>& call) {
  std::unique_lock lock(mutex_);
  if (!items_.empty()) {
    hurry_ = true;
    to_do_.notify_one();
  }
  free_.wait(lock, [&] { return !busy_ && items_.empty(); });
  busy_ = true;
  lock.unlock();
  const std::exception_ptr error = error_of(call);
  lock.lock();
  be_free();
  lock.unlock();
  if (error) std::rethrow_exception(error);
}

void Lane::be_free() {
  busy_ = false;
  if (!items_.empty()) to_do_.notify_one();
  free_.notify_all();
}

void Lane::carry_out(std::unique_lock<std::mutex>& lock, Deadline limit) {
  Item item = std::move(items_.front());
  items_.pop_front();
  busy_ = true;
  lock.unlock();
  item.work(limit);
  item = {};  // what it holds is let go of before anybody hears that the lane is free
  lock.lock();
  be_free();
}

bool Lane::carry_out_next(Deadline limit) {
  std::unique_lock lock(mutex_);
  if (busy_ || items_.empty()) return false;
  carry_out(lock, limit);
  return true;
}

void Lane::leave_to_thread() {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return;
  hurry_ = true;
  to_do_.notify_one();
}

bool Lane::idle() const {
  const std::lock_guard lock(mutex_);
  return !busy_ && items_.empty();
}

void Lane::serve() {
  name_this_thread(thread_name_);
  std::unique_lock lock(mutex_);
  const auto may_begin = [&] { return stop_ || (!busy_ && !items_.empty()); };
  while (true) {
    to_do_.wait(lock, may_begin);
    if (!stop_ && !hurry_) {
      to_do_.wait_for(lock, kLeftToCallers, [&] { return stop_ || hurry_; });
    }
    if (stop_) return;
    if (busy_ || items_.empty()) continue;
    carry_out(lock, Deadline::never());
    if (items_.empty()) hurry_ = false;
  }
}

}  // namespace shoal

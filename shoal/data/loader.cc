#include "shoal/data/loader.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include "shoal/core/check.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {

// Batches whose memory waits to be used again. Thread safe.
class BatchPool {
 public:
  std::unique_ptr<Batch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Batch>();
    // The last one back is the likeliest to be in the processor's cache.
    std::unique_ptr<Batch> batch = std::move(free_.back());
    free_.pop_back();
    return batch;
  }
  void give(std::unique_ptr<Batch> batch) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(batch));
  }

 private:
  std::mutex mutex_;  // guards free_
  std::vector<std::unique_ptr<Batch>> free_;
};

void ReturnToPool::operator()(Batch* batch) const noexcept {
  std::unique_ptr<Batch> owned(batch);
  try {
    if (pool) pool->give(std::move(owned));
  } catch (const std::bad_alloc&) {  // no room to note it: the batch is freed instead
  }
}

LoadPlan training_plan(const Sampler& sampler, std::int64_t parts, std::int64_t index) {
  return [&sampler, parts, index](std::int64_t step) { return sampler.ids(step, parts, index); };
}

LoadPlan evaluation_plan(const EvaluationBatches& batches, std::int64_t rank) {
  return [batches, rank](std::int64_t round) { return batches.ids(round, rank); };
}

namespace {

// Both count for the calling thread alone on Linux. Best effort: without them reading ahead only
// takes a larger share of a core that it shares.
void yield_to_training() {
  constexpr int kNice = 10;
  (void)setpriority(PRIO_PROCESS, 0, kNice);
  const sched_param none{};
  (void)sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace

Loader::Loader(const Dataset& dataset, LoadPlan plan, Range indices, LoaderOptions options)
    : dataset_(dataset),
      plan_(std::move(plan)),
      options_(std::move(options)),
      end_(indices.end),
      pool_(std::make_shared<BatchPool>()),
      handed_(indices.begin),
      claimed_(indices.begin) {
  check(options_.threads >= 0 && options_.prefetch > 0, "a loader has threads >= 0, prefetch > 0");
  check(indices.begin >= 0 && indices.end >= indices.begin, "batches have indices from 0");
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { read_ahead(stop); });
  }
}

Loader::~Loader() {
  for (std::jthread& thread : threads_) thread.request_stop();  // all, before the first is joined
}

Loader::Slot Loader::produce(std::int64_t index) const {
  using Clock = std::chrono::steady_clock;
  Slot slot;
  try {
    const auto start = Clock::now();
    const std::vector<std::int64_t> ids = plan_(index);
    const auto planned = Clock::now();
    slot.batch = BatchPtr(pool_->take().release(), ReturnToPool{pool_});
    slot.batch->index = index;
    dataset_.read(ids, *slot.batch);
    if (options_.sink) {
      options_.sink({.name = "partition", .batch = index, .start = start, .end = planned});
      options_.sink({.name = "load", .batch = index, .start = planned, .end = Clock::now()});
    }
  } catch (...) {
    slot.failure = std::current_exception();
  }
  return slot;
}

void Loader::read_ahead(const std::stop_token& stop) {
  name_this_thread("shoal-loader");
  if (options_.low_priority) yield_to_training();
  for (;;) {
    std::int64_t index = 0;
    {
      std::unique_lock lock(mutex_);
      const auto over = [&] { return failed_ || claimed_ == end_; };
      const auto may_go = [&] { return over() || claimed_ < handed_ + options_.prefetch; };
      const bool woken = room_.wait(lock, stop, may_go);
      if (!woken || stop.stop_requested() || over()) return;
      index = claimed_++;
    }
    Slot slot = produce(index);
    {
      const std::lock_guard lock(mutex_);
      if (slot.failure) failed_ = true;
      ready_.emplace(index, std::move(slot));
    }
    filled_.notify_all();
  }
}

BatchPtr Loader::next(Deadline deadline) {
  if (handed_ == end_) return nullptr;
  if (options_.threads == 0 && !failed_) {
    Slot slot = produce(handed_);
    failed_ = slot.failure != nullptr;
    ready_.emplace(handed_, std::move(slot));
  }
  std::unique_lock lock(mutex_);
  const auto is_ready = [&] { return ready_.contains(handed_); };
  if (!filled_.wait_until(lock, deadline.time(), is_ready)) {
    throw TimedOut(fmt::format("batch {} of {} was not read after {} ms: is its storage slow?",
                               handed_, dataset_.name(), deadline.waited().count()),
                   {});
  }
  const auto slot = ready_.find(handed_);
  if (slot->second.failure) std::rethrow_exception(slot->second.failure);
  BatchPtr batch = std::move(slot->second.batch);
  ready_.erase(slot);
  ++handed_;
  lock.unlock();
  room_.notify_one();
  return batch;
}

}  // namespace shoal

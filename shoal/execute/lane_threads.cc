#include "shoal/execute/lane_threads.h"

#include "shoal/core/cores.h"

namespace shoal {

LaneThreads::LaneThreads(std::vector<std::string> names, std::function<void(std::size_t)> body)
    : body_(std::move(body)) {
  for (std::size_t lane = 0; lane < names.size(); ++lane) {
    threads_.emplace_back([this, lane, name = names[lane]](const std::stop_token& stop) {
      name_this_thread(name);
      live(stop, lane);
    });
  }
}

LaneThreads::~LaneThreads() {
  for (auto& thread : threads_) thread.request_stop();
}

void LaneThreads::start() {
  const std::scoped_lock lock(mutex_);
  ++run_;
  left_ = threads_.size();
  started_.notify_all();
}

void LaneThreads::finish() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return left_ == 0; });
}

void LaneThreads::live(const std::stop_token& stop, std::size_t lane) {
  std::uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!started_.wait(lock, stop, [&] { return run_ != seen; })) return;
      seen = run_;
    }
    body_(lane);
    const std::scoped_lock lock(mutex_);
    if (--left_ == 0) finished_.notify_all();
  }
}

}  // namespace shoal

// Threads that run lanes beside the compute thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace shoal {

// One thread a lane, asleep between runs. One thread drives start() and finish().
class LaneThreads {
 public:
  // `body(i)` runs lane i once per run; it does not throw.
  LaneThreads(std::vector<std::string> names, std::function<void(std::size_t)> body);
  ~LaneThreads();
  LaneThreads(const LaneThreads&) = delete;
  LaneThreads& operator=(const LaneThreads&) = delete;

  void start();
  void finish();  // waits until every lane has run; bodies end by their operations' deadlines

 private:
  void live(const std::stop_token& stop, std::size_t lane);

  std::function<void(std::size_t)> body_;
  std::mutex mutex_;  // guards run_ and left_
  std::condition_variable_any started_;
  std::condition_variable finished_;
  std::uint64_t run_ = 0;
  std::size_t left_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace shoal

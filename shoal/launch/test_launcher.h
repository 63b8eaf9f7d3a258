// For tests: output that a test can wait for, and a launch that runs beside the test.
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <thread>

#include "shoal/core/stop_request.h"
#include "shoal/launch/local_workers.h"

namespace shoal {

// Generous: only a test that has gone wrong waits so long.
constexpr std::chrono::seconds kWatchdog{60};

// Text written by one thread and waited for by another.
class WatchedText : public std::streambuf {
 public:
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  // False when the watchdog bites.
  bool wait_for(const std::string& part) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWatchdog,
                             [&] { return text_.find(part) != std::string::npos; });
  }
  // The number that follows `label`, waited for with its line.
  int number_after(const std::string& label) const {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kWatchdog, [&] {
      const auto at = text_.find(label);
      return at != std::string::npos && text_.find('\n', at) != std::string::npos;
    });
    return came ? std::stoi(text_.substr(text_.find(label) + label.size())) : -1;
  }

 protected:
  int overflow(int c) override {
    const char byte = static_cast<char>(c);
    xsputn(&byte, 1);
    return c;
  }
  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    const std::lock_guard lock(mutex_);
    text_.append(bytes, static_cast<std::size_t>(count));
    changed_.notify_all();
    return count;
  }

 private:
  mutable std::mutex mutex_;  // guards text_
  mutable std::condition_variable changed_;
  std::string text_;
};

// Runs launch() in a thread of its own.
class RunningLaunch {
 public:
  explicit RunningLaunch(LaunchOptions options)
      : thread_([this, options = std::move(options)] {
          std::ostream out_stream(&out);
          std::ostream err_stream(&err);
          try {
            code_ = launch(options, out_stream, err_stream, stop);
          } catch (const std::exception& error) {
            err_stream << "thrown: " << error.what() << '\n';
            code_ = -1;
          }
        }) {}
  // The exit code; -1 when launch threw (see err).
  int wait() {
    if (thread_.joinable()) thread_.join();
    return code_;
  }
  ~RunningLaunch() { wait(); }

  WatchedText out;
  WatchedText err;
  StopRequest stop;

 private:
  std::atomic<int> code_{-2};
  std::thread thread_;
};

inline LaunchOptions shell_workers(int workers, const std::string& script) {
  LaunchOptions options;
  options.workers = workers;
  options.command = {"/bin/sh", "-c", script};
  return options;
}

// Whether the process is there and not merely a zombie waiting for its parent or for init.
inline bool is_alive(pid_t pid) {
  if (::kill(pid, 0) != 0) return false;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto name_ends = line.rfind(')');
  return name_ends != std::string::npos && line.substr(name_ends + 2, 1) != "Z";
}

// Waits until the process has gone; false when the watchdog bites.
inline bool is_gone_soon(pid_t pid) {
  const auto end = std::chrono::steady_clock::now() + kWatchdog;
  while (is_alive(pid)) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace shoal

// For tests: a command as a child process, its output watched.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "shoal/launch/child_process.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {

// The test program itself: a launcher when its first argument is "run", a worker when it is "meet".
inline std::string own_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

class Command {
 public:
  explicit Command(std::vector<std::string> argv)
      : child_({.argv = std::move(argv),
                .variables = inherited_variables(),
                .passed_fds = {},
                .has_input = true}),
        reader_([this] { read_outputs(); }) {}
  ~Command() {
    if (reader_.joinable()) {
      child_.signal_group(SIGKILL);
      reader_.join();
    }
  }

  pid_t pid() const { return child_.pid(); }
  Ending wait() {
    pollfd ended{.fd = child_.ended_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ended, 1, 1000 * static_cast<int>(kWatchdog.count())), 1) << text.text();
    const auto ending = child_.ending();
    if (!ending) child_.signal_group(SIGKILL);
    reader_.join();
    return ending.value_or(Ending{.exit_code = -1, .signal = -1});
  }

  WatchedText text;  // both streams

 private:
  void read_outputs() {
    std::ostream sink(&text);
    std::array<pollfd, 2> fds = {pollfd{.fd = child_.out().get(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = child_.err().get(), .events = POLLIN, .revents = 0}};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      for (pollfd& ready : fds) {
        if (ready.revents == 0) continue;
        std::array<char, 4096> buffer;
        const ssize_t got = ::read(ready.fd, buffer.data(), buffer.size());
        if (got <= 0) {
          ready.fd = -1;
        } else {
          sink.write(buffer.data(), got);
        }
      }
    }
  }

  ChildProcess child_;
  std::thread reader_;
};

}  // namespace shoal

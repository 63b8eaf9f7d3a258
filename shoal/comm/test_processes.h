// What tests that start and kill processes share.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/store.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {

// Forked processes; those that still live are killed in the end.
class Processes {
 public:
  ~Processes() {
    for (const pid_t process : running_) {
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
    }
  }
  // Runs `body` in a process of its own, which ends with the value it returns.
  pid_t start(const std::function<int()>& body) {
    const pid_t process = fork();
    if (process == 0) {
      int code = 99;
      try {
        code = body();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "process: %s\n", error.what());
      }
      std::fflush(nullptr);
      _exit(code);
    }
    running_.push_back(process);
    return process;
  }
  // The exit code, or minus the signal.
  int end_of(pid_t process) {
    int status = 0;
    waitpid(process, &status, 0);
    std::erase(running_, process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  std::vector<pid_t> running_;
};

// Reads or writes one number through a pipe.
struct Pipe {
  Pipe() {
    if (pipe(ends) != 0) std::abort();
  }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  void put(int number) const {
    if (write(ends[1], &number, sizeof number) != sizeof number) std::abort();
  }
  int take() const {
    int number = -1;
    if (read(ends[0], &number, sizeof number) != sizeof number) return -1;
    return number;
  }
  int ends[2];
};

// Serves a store from a process of its own, so that this one stays without threads and can fork.
class StoreProcess {
 public:
  explicit StoreProcess(Processes& processes) {
    const Pipe port;
    processes.start([&] {
      const auto server = serve_store("127.0.0.1", 0, kSecret);
      port.put(server->port());
      pause();
      return 0;
    });
    port_ = port.take();
  }
  std::shared_ptr<Store> connect() const {
    return connect_store("127.0.0.1", port_, kSecret, soon());
  }

 private:
  static constexpr char kSecret[] = "of these processes";
  int port_ = 0;
};

// Names, sorted.
inline std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace shoal::test

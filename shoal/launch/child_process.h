// A program started by the launcher, in a process group of its own, with its outputs in pipes.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "shoal/launch/owned_fd.h"

namespace shoal {

struct ChildCommand {
  std::vector<std::string> argv;       // argv[0] is the program's path, as find_program gives it
  std::vector<std::string> variables;  // the whole environment, "NAME=value"
  std::vector<int> passed_fds;         // stay open in the child under their numbers
  bool has_input = false;  // standard input is a socket whose other end is in(), else /dev/null
};

// How a process ended.
struct Ending {
  int exit_code = 0;
  int signal = 0;  // 0 when it ended by itself
};
// "ended with exit code 2", "was killed by signal 9 (SIGKILL)"
std::string describe(const Ending& ending);

// The kernel kills the child when the *thread* that started it ends, so that a launcher that dies
// leaves nobody behind; that thread has to outlive the child.
// The destructor kills the whole group and waits for the child. Not thread safe.
class ChildProcess {
 public:
  // Throws InvalidInput when the program cannot be executed, Error when the system has no
  // processes or descriptors left.
  explicit ChildProcess(const ChildCommand& command);
  ~ChildProcess();
  ChildProcess(ChildProcess&&) noexcept = default;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Readable once the child has ended.
  int ended_fd() const { return ended_fd_.get(); }
  OwnedFd& out() { return out_; }
  OwnedFd& err() { return err_; }
  OwnedFd& in() { return in_; }

  // How it ended; nothing while it runs. The process stays a zombie until the destructor, so its
  // number, and that of its group, cannot come to stand for somebody else.
  std::optional<Ending> ending();

  // To every process of the group, also after the child itself has ended.
  void signal_group(int signal_number);

 private:
  pid_t pid_ = -1;
  OwnedFd ended_fd_;
  OwnedFd out_;
  OwnedFd err_;
  OwnedFd in_;
  std::optional<Ending> ending_;
};

// The path of a program: `name` itself when it has a slash, otherwise the first match in `path`
// (a list as in PATH). Throws InvalidInput when there is none or it is not executable.
std::string find_program(const std::string& name, const std::string& path);

}  // namespace shoal

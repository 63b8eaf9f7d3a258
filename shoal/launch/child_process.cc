#include "shoal/launch/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "shoal/core/deadline.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

struct Pipe {
  OwnedFd read_end;
  OwnedFd write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Error(fmt::format("cannot make a pipe for a worker: {}", std::strerror(errno)));
  }
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

// A socket pair, because writing to a program that has ended then raises no signal.
Pipe make_input() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(fmt::format("cannot make a socket pair for a worker: {}", std::strerror(errno)));
  }
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// What the child does between fork and exec: only calls that are safe there, on memory that was
// prepared before.
struct Preparation {
  char** argv;
  char** variables;
  int in, out, err;
  const std::vector<int>& passed_fds;
  int failure_fd;
  pid_t parent;
};

void set_default_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD}) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const Preparation& prepared) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != prepared.parent) ::_exit(127);  // the launcher died before the line above
  set_default_signals();
  bool ready = ::dup2(prepared.in, STDIN_FILENO) >= 0 && ::dup2(prepared.out, STDOUT_FILENO) >= 0 &&
               ::dup2(prepared.err, STDERR_FILENO) >= 0;
  for (const int fd : prepared.passed_fds) ready = ready && ::fcntl(fd, F_SETFD, 0) == 0;
  if (ready) ::execve(prepared.argv[0], prepared.argv, prepared.variables);
  const int reason = errno;
  [[maybe_unused]] const ssize_t told = ::write(prepared.failure_fd, &reason, sizeof reason);
  ::_exit(127);
}

// The system's reason why the child could not become the program; 0 when it did.
int reason_of_failure(const OwnedFd& read_end) {
  int reason = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &reason, sizeof reason);
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof reason) ? reason : 0;
}

// Orphans of a killed group die at once, but count until init has collected them, and some of those
// take their time.
void wait_until_gone(pid_t group) {
  const auto deadline = Deadline::after(std::chrono::milliseconds(200));
  while (::kill(-group, 0) == 0 && !deadline.passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

std::string describe(const Ending& ending) {
  if (ending.signal == 0) return fmt::format("ended with exit code {}", ending.exit_code);
  const char* name = ::sigabbrev_np(ending.signal);
  return fmt::format("was killed by signal {} (SIG{})", ending.signal,
                     name != nullptr ? name : std::to_string(ending.signal));
}

ChildProcess::ChildProcess(const ChildCommand& command) {
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Pipe failure = make_pipe();
  Pipe in;
  if (command.has_input) {
    in = make_input();
  } else {
    in.read_end = OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  const auto argv = pointers(command.argv);
  const auto variables = pointers(command.variables);
  const Preparation prepared{.argv = const_cast<char**>(argv.data()),
                             .variables = const_cast<char**>(variables.data()),
                             .in = in.read_end.get(),
                             .out = out.write_end.get(),
                             .err = err.write_end.get(),
                             .passed_fds = command.passed_fds,
                             .failure_fd = failure.write_end.get(),
                             .parent = ::getpid()};
  pid_ = ::fork();
  if (pid_ < 0) {
    throw Error(
        fmt::format("cannot start a process for {}: {}", command.argv[0], std::strerror(errno)));
  }
  if (pid_ == 0) become(prepared);
  ::setpgid(pid_, pid_);  // here too: whoever comes first
  failure.write_end.close();
  if (const int reason = reason_of_failure(failure.read_end); reason != 0) {
    ::waitpid(pid_, nullptr, 0);
    throw InvalidInput(
        fmt::format("cannot execute {}: {}", command.argv[0], std::strerror(reason)));
  }
  // Not through glibc's own function: 2.36 declares it without C linkage.
  ended_fd_ = OwnedFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  out_ = std::move(out.read_end);
  err_ = std::move(err.read_end);
  in_ = std::move(in.write_end);
  for (const OwnedFd* pipe : {&out_, &err_}) ::fcntl(pipe->get(), F_SETFL, O_NONBLOCK);
  if (!ended_fd_.is_open()) {
    const int reason = errno;
    signal_group(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    throw Error(fmt::format("cannot watch process {}: {}", pid_, std::strerror(reason)));
  }
}

ChildProcess::~ChildProcess() {
  if (!ended_fd_.is_open()) return;  // moved from
  signal_group(SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  wait_until_gone(pid_);
}

std::optional<Ending> ChildProcess::ending() {
  if (ending_) return ending_;
  siginfo_t facts{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &facts, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      facts.si_pid == 0) {
    return std::nullopt;
  }
  if (facts.si_code == CLD_EXITED) {
    ending_ = Ending{.exit_code = facts.si_status, .signal = 0};
  } else {
    ending_ = Ending{.exit_code = 128 + facts.si_status, .signal = facts.si_status};
  }
  return ending_;
}

void ChildProcess::signal_group(int signal_number) { ::kill(-pid_, signal_number); }

std::string find_program(const std::string& name, const std::string& path) {
  const auto is_program = [](const std::string& file) {
    struct stat facts {};
    return ::stat(file.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
           ::access(file.c_str(), X_OK) == 0;
  };
  if (name.empty()) throw InvalidInput("the program's name is empty: give one after --");
  if (name.find('/') != std::string::npos) {
    if (is_program(name)) return name;
    if (::access(name.c_str(), F_OK) != 0) {
      throw InvalidInput(fmt::format("program {}: {}", name, std::strerror(errno)));
    }
    throw InvalidInput(
        fmt::format("{} is not an executable file: name a program, or run chmod +x on it", name));
  }
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const auto end = std::min(path.find(':', begin), path.size());
    const std::string folder = path.substr(begin, end - begin);
    const std::string file = (folder.empty() ? "." : folder) + "/" + name;
    if (is_program(file)) return file;
    begin = end + 1;
  }
  throw InvalidInput(
      fmt::format("program {} is in none of PATH's folders: give its path, or install it", name));
}

}  // namespace shoal

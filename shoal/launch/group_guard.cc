#include "shoal/launch/group_guard.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::size_t kMostGroups = 4096;
constexpr pid_t kAllIsWell = 0;

// Runs in a process forked from one with threads: no allocation, only calls that are safe there.
[[noreturn]] void guard(int from_launcher) {
  ::setsid();  // not in the terminal's group: Ctrl-C is not for us
  ::prctl(PR_SET_NAME, "shoal-guard");
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(number, SIG_IGN);
  // The launcher's other descriptors have to close when it dies, for example its listening socket.
  if (::dup2(from_launcher, 0) < 0) ::_exit(1);
  ::close_range(1, ~0U, 0);
  std::array<pid_t, kMostGroups> groups;
  std::size_t count = 0;
  while (true) {
    pid_t group = 0;
    const ssize_t got = ::read(0, &group, sizeof group);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof group)) break;
    if (group == kAllIsWell) ::_exit(0);
    if (count < groups.size()) groups[count++] = group;
  }
  for (std::size_t i = 0; i < count; ++i) ::kill(-groups[i], SIGKILL);
  ::_exit(0);
}

}  // namespace

GroupGuard::GroupGuard() {
  std::array<int, 2> ends{};
  // A socket pair, not a pipe: writing to a guard that was killed by hand raises no signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  const OwnedFd from_launcher(ends[0]);
  to_guard_ = OwnedFd(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0) throw Error(fmt::format("cannot start a process: {}", std::strerror(errno)));
  if (pid_ == 0) {
    ::close(to_guard_.get());
    guard(from_launcher.get());
  }
}

GroupGuard::~GroupGuard() {
  watch(kAllIsWell);
  to_guard_.close();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void GroupGuard::watch(pid_t group) {
  [[maybe_unused]] const ssize_t told = ::send(to_guard_.get(), &group, sizeof group, MSG_NOSIGNAL);
}

}  // namespace shoal

#include "shoal/launch/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "shoal/core/error.h"
#include "shoal/launch/group_guard.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {
namespace {

ChildCommand shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script},
          .variables = {"PATH=/usr/bin:/bin"},
          .passed_fds = {},
          .has_input = false};
}

bool wait_readable(int fd) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, static_cast<int>(kWatchdog.count()) * 1000) == 1;
}

std::string read_all(const OwnedFd& pipe) {
  std::string text;
  std::array<char, 4096> buffer;
  while (wait_readable(pipe.get())) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::string read_line(const OwnedFd& pipe) {
  std::string text;
  char byte = 0;
  while (wait_readable(pipe.get()) && ::read(pipe.get(), &byte, 1) == 1 && byte != '\n') {
    text += byte;
  }
  return text;
}

Ending wait_for_end(ChildProcess& child) {
  EXPECT_TRUE(wait_readable(child.ended_fd()));
  const auto ending = child.ending();
  EXPECT_TRUE(ending.has_value());
  return ending.value_or(Ending{.exit_code = -1, .signal = -1});
}

TEST(ChildProcess, OutputsAndExitCode) {
  ChildProcess child(shell("echo out; echo err >&2; exit 7"));
  EXPECT_EQ(read_all(child.out()), "out\n");
  EXPECT_EQ(read_all(child.err()), "err\n");
  const Ending ending = wait_for_end(child);
  EXPECT_EQ(ending.exit_code, 7);
  EXPECT_EQ(ending.signal, 0);
  EXPECT_EQ(describe(ending), "ended with exit code 7");
}

TEST(ChildProcess, ASignalIsTold) {
  ChildProcess child(shell("kill -9 $$"));
  const Ending ending = wait_for_end(child);
  EXPECT_EQ(ending.signal, SIGKILL);
  EXPECT_EQ(describe(ending), "was killed by signal 9 (SIGKILL)");
}

TEST(ChildProcess, InputIsEmptyUnlessAsked) {
  ChildProcess deaf(shell("cat; echo done"));
  EXPECT_EQ(read_all(deaf.out()), "done\n");
  ChildCommand command = shell("read line; echo got $line");
  command.has_input = true;
  ChildProcess listening(command);
  ASSERT_EQ(::write(listening.in().get(), "this\n", 5), 5);
  EXPECT_EQ(read_all(listening.out()), "got this\n");
}

TEST(ChildProcess, APassedDescriptorIsThereAndOthersAreNot) {
  const OwnedFd secret = secret_in_memory("a secret of the job");
  const OwnedFd other = secret_in_memory("not for everybody");
  ChildCommand command =
      shell("cat /proc/self/fd/" + std::to_string(secret.get()) + "; test -e /proc/self/fd/" +
            std::to_string(other.get()) + " || echo ' only'");
  command.passed_fds = {secret.get()};
  ChildProcess child(command);
  EXPECT_EQ(read_all(child.out()), "a secret of the job only\n");
}

TEST(ChildProcess, WhatCannotBeExecutedIsRefused) {
  ChildCommand command = shell("");
  command.argv = {"/nowhere/at/all"};
  EXPECT_THROW(ChildProcess{command}, InvalidInput);
  command.argv = {"/etc"};
  EXPECT_THROW(ChildProcess{command}, InvalidInput);
}

TEST(ChildProcess, TheDestructorLeavesNobodyOfTheGroup) {
  pid_t grandchild = -1;
  pid_t child_pid = -1;
  {
    ChildProcess child(shell("sleep 1000 & echo $!; wait"));
    child_pid = child.pid();
    grandchild = std::stoi(read_line(child.out()));
    EXPECT_TRUE(is_alive(grandchild));
  }
  EXPECT_FALSE(is_alive(child_pid));
  EXPECT_TRUE(is_gone_soon(grandchild));
}

TEST(ChildProcess, AGroupOutlivesItsLeaderAndStillGetsSignals) {
  ChildProcess child(shell("sleep 1000 & echo $!"));
  const pid_t grandchild = std::stoi(read_line(child.out()));
  wait_for_end(child);
  EXPECT_TRUE(is_alive(grandchild));
  child.signal_group(SIGTERM);
  EXPECT_TRUE(is_gone_soon(grandchild));
}

TEST(GroupGuard, LetsGroupsBeWhenItIsReleased) {
  ChildProcess child(shell("echo ready; exec sleep 1000"));
  read_line(child.out());
  {
    GroupGuard guard;
    guard.watch(child.pid());
  }
  EXPECT_TRUE(is_alive(child.pid()));
}

TEST(FindProgram, LooksInPathAndTakesPaths) {
  EXPECT_EQ(find_program("sh", "/nowhere:/bin"), "/bin/sh");
  EXPECT_EQ(find_program("/bin/sh", ""), "/bin/sh");
  EXPECT_THROW(find_program("", "/bin"), InvalidInput);
  EXPECT_THROW(find_program("no-such-program-here", "/usr/bin:/bin"), InvalidInput);
  EXPECT_THROW(find_program("/etc/passwd", "/bin"), InvalidInput);
  EXPECT_THROW(find_program("/bin", "/bin"), InvalidInput);
  EXPECT_THROW(find_program("./missing", "/bin"), InvalidInput);
}

}  // namespace
}  // namespace shoal

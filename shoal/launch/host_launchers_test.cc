// Launchers over ssh, against a private sshd on loopback.
#include "shoal/launch/host_launchers.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "shoal/comm/store.h"
#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"
#include "shoal/launch/owned_fd.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/test_command.h"

namespace shoal {
namespace {

using testing::HasSubstr;

int free_port() { return serve_store("127.0.0.1", 0, random_secret())->port(); }

class SshTest : public testing::Test {
 protected:
  void SetUp() override {
    wait_for_other_tests();
    try {
      sshd_ = find_program("sshd", "/usr/sbin:/usr/bin");
      ssh_ = find_program("ssh", "/usr/bin");
      find_program("ssh-keygen", "/usr/bin");
    } catch (const InvalidInput& error) {
      GTEST_SKIP() << error.what();
    }
    port_ = free_port();
    write_configuration();
    serve();
    if (IsSkipped()) return;
    Command probe({ssh_, "-F", config_, "127.0.0.1", "echo", "logged", "in"});
    if (probe.wait().exit_code != 0) GTEST_SKIP() << "no login over ssh: " << probe.text.text();
  }

  // sshd wants /run/sshd, which one test would take away from another that runs beside it.
  void wait_for_other_tests() {
    alone_ = OwnedFd(
        ::open(std::filesystem::temp_directory_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::flock(alone_.get(), LOCK_EX), 0);
  }

  void TearDown() override {
    server_.reset();
    if (made_run_folder_) ::rmdir("/run/sshd");
  }

  void write_configuration() {
    for (const char* key : {"host_key", "user_key"}) {
      Command keygen(
          {"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", (folder_ / key).string()});
      ASSERT_EQ(keygen.wait().exit_code, 0) << keygen.text.text();
    }
    std::filesystem::copy(folder_ / "user_key.pub", folder_ / "authorized");
    std::ofstream(folder_ / "sshd_config")
        << "Port " << port_ << "\nListenAddress 127.0.0.1\nHostKey "
        << (folder_ / "host_key").string() << "\nAuthorizedKeysFile "
        << (folder_ / "authorized").string()
        << "\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
           "PasswordAuthentication no\n";
    config_ = (folder_ / "ssh_config").string();
    std::ofstream(config_) << "Host *\nPort " << port_ << "\nIdentityFile "
                           << (folder_ / "user_key").string()
                           << "\nIdentitiesOnly yes\nStrictHostKeyChecking no\n"
                              "UserKnownHostsFile /dev/null\nLogLevel ERROR\n";
  }

  void serve() {
    if (::geteuid() == 0) made_run_folder_ = ::mkdir("/run/sshd", 0755) == 0;
    server_ = std::make_unique<Command>(
        std::vector<std::string>{sshd_, "-D", "-e", "-f", (folder_ / "sshd_config").string()});
    if (!server_->text.wait_for("Server listening")) {
      GTEST_SKIP() << "sshd does not start: " << server_->text.text();
    }
  }

  // The command on two "hosts", both this one, with one and two workers.
  std::unique_ptr<Command> run_on_hosts(const std::vector<std::string>& program) {
    std::ofstream(folder_ / "hosts") << "127.0.0.1\n127.0.0.1 slots=2\n";
    std::vector<std::string> argv = {own_path(),
                                     "run",
                                     "--hosts",
                                     (folder_ / "hosts").string(),
                                     "--grace-seconds",
                                     "0.5",
                                     "--ssh",
                                     ssh_ + " -F " + config_,
                                     "--master",
                                     "127.0.0.1:" + std::to_string(free_port()),
                                     "--"};
    argv.insert(argv.end(), program.begin(), program.end());
    return std::make_unique<Command>(argv);
  }

  OwnedFd alone_;  // holds the lock
  TempFolder folder_;
  std::string sshd_;
  std::string ssh_;
  std::string config_;
  int port_ = 0;
  bool made_run_folder_ = false;
  std::unique_ptr<Command> server_;
};

TEST_F(SshTest, WorkersOfAllHostsMeet) {
  const auto command = run_on_hosts({own_path(), "meet"});
  EXPECT_EQ(command->wait().exit_code, 0) << command->text.text();
  for (const char* rank : {"0", "1", "2"}) {
    const std::string r = rank;
    EXPECT_THAT(command->text.text(),
                HasSubstr("[rank " + r + "] rank " + r + " of 3 met through shoal\n"));
  }
}

TEST_F(SshTest, AFailureOnOneHostIsTheJobs) {
  const auto command = run_on_hosts({"/bin/sh", "-c",
                                     "test $SHOAL_RANK = 2 && exit 5; "
                                     "trap 'exit 0' TERM; "
                                     "while true; do sleep 0.01; done"});
  EXPECT_EQ(command->wait().exit_code, 5) << command->text.text();
  EXPECT_THAT(command->text.text(), HasSubstr("error: worker 2 (pid "));
}

TEST_F(SshTest, CtrlCStopsTheWorkersOfAllHosts) {
  const auto command = run_on_hosts({"/bin/sh", "-c",
                                     "trap 'echo saved; exit 130' INT; echo ready; "
                                     "while true; do sleep 0.01; done"});
  for (const char* line : {"[rank 0] ready", "[rank 1] ready", "[rank 2] ready"}) {
    ASSERT_TRUE(command->text.wait_for(line)) << command->text.text();
  }
  ::kill(command->pid(), SIGINT);
  EXPECT_EQ(command->wait().exit_code, 130) << command->text.text();
  for (const char* line : {"[rank 0] saved", "[rank 1] saved", "[rank 2] saved"}) {
    EXPECT_THAT(command->text.text(), HasSubstr(line));
  }
}

TEST_F(SshTest, AKilledLauncherLeavesNobodyOnTheHosts) {
  const auto command =
      run_on_hosts({"/bin/sh", "-c", "echo worker $SHOAL_RANK is $$; exec sleep 1000"});
  std::vector<pid_t> workers;
  for (const char* rank : {"0", "1", "2"}) {
    workers.push_back(command->text.number_after(std::string("worker ") + rank + " is "));
    ASSERT_TRUE(is_alive(workers.back()));
  }
  ::kill(command->pid(), SIGKILL);
  command->wait();
  for (const pid_t worker : workers) EXPECT_TRUE(is_gone_soon(worker));
}

TEST_F(SshTest, AHostThatCannotBeReachedIsNamed) {
  server_.reset();  // nobody listens any more
  const auto command = run_on_hosts({"/bin/true"});
  EXPECT_EQ(command->wait().exit_code, 3) << command->text.text();
  EXPECT_THAT(command->text.text(), HasSubstr("error: the launcher on host 127.0.0.1 cannot be"));
}

}  // namespace
}  // namespace shoal

// The command as a process: this test program is the launcher when its first argument is "run", and
// a worker when it is "meet".
#include "shoal/launch/run_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "shoal/comm/store.h"
#include "shoal/core/error.h"
#include "shoal/launch/child_process.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/rendezvous.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/test_command.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {
namespace {

using testing::HasSubstr;

// A worker that meets the others and leaves when all have been there.
int meet_the_others() {
  try {
    const auto place = place_from_environment(process_environment());
    if (!place) throw Error("no launcher");
    const auto deadline = Deadline::after(kWatchdog);
    std::unique_ptr<StoreServer> server;
    const auto store = meet(*place, server, deadline);
    const auto came = store->add("came", 1, deadline);
    if (came == place->size) store->set("all", "here", deadline);
    store->get("all", deadline);
    std::cout << "rank " << place->rank << " of " << place->size << " met through " << place->source
              << std::endl;
    // Whoever serves the store stays until the others need it no more.
    store->add("left", 1, deadline);
    while (server && store->add("left", 0, deadline) < place->size) std::this_thread::yield();
    return 0;
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return 1;
  }
}

Command run_shell(const std::vector<std::string>& options, const std::string& script) {
  std::vector<std::string> argv = {own_path(), "run"};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.insert(argv.end(), {"--", "/bin/sh", "-c", script});
  return Command(argv);
}

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome run_here(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  const auto nothing = [](const std::string&) -> std::optional<std::string> { return {}; };
  const int code = run_command(arguments, nothing, out, err, StopRequest{});
  return {.code = code, .out = out.str(), .err = err.str()};
}

TEST(RunCommand, RunsAProgramWithItsArguments) {
  const auto outcome = run_here({"-n", "2", "--", "/bin/echo", "-n", "--nodes", "x"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("[rank 1] --nodes x\n"));
}

TEST(RunCommand, HelpNamesEveryOption) {
  const auto outcome = run_here({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* word : {"-n N", "--nodes", "--node-rank", "--master", "--hosts", "--ssh",
                           "--secret-file", "exit code"}) {
    EXPECT_THAT(outcome.out, HasSubstr(word));
  }
}

TEST(RunCommand, BadUsageIsRefusedWithOneSentence) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "no program was given"},
      {{"-n", "2"}, "no program was given"},
      {{"-n"}, "-n needs a value"},
      {{"-n", "two", "--", "true"}, "-n is 'two'"},
      {{"-n", "0", "--", "true"}, "-n is 0"},
      {{"--nodez", "2", "--", "true"}, "--nodes"},
      {{"-n", "1", "--", "/no/such/program"}, "/no/such/program"},
      {{"-n", "1", "--", "/etc/passwd"}, "not an executable file"},
      {{"-n", "1", "--", "no-such-program-here"}, "PATH"},
      {{"--nodes", "2", "--", "true"}, "--master"},
      {{"--nodes", "2", "--node-rank", "2", "--master", "a:1", "--", "true"}, "--node-rank is 2"},
      {{"--nodes", "2", "--master", "nowhere", "--", "true"}, "HOST:PORT"},
      {{"--hosts", "/no/such/list", "--", "true"}, "/no/such/list"},
      {{"--secret-file", "/no/such/secret", "--nodes", "2", "--master", "127.0.0.1:1", "--",
        "true"},
       "/no/such/secret"},
  };
  for (const auto& [arguments, expected] : cases) {
    const auto outcome = run_here(arguments);
    EXPECT_EQ(outcome.code, 2) << expected;
    EXPECT_THAT(outcome.err, HasSubstr(expected));
    EXPECT_THAT(outcome.err, testing::StartsWith("error: "));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(RunCommand, LaunchOptionsAreTakenOutOfOthers) {
  std::vector<std::string> arguments = {"job.toml",  "-n", "4",  "--set", "a=1",
                                        "--nodes=2", "--", "-n", "7"};
  LaunchOptions options;
  take_launch_options(arguments, options);
  EXPECT_EQ(options.workers, 4);
  EXPECT_EQ(options.nodes, 2);
  EXPECT_EQ(arguments, (std::vector<std::string>{"job.toml", "--set", "a=1", "--", "-n", "7"}));
}

TEST(RunCommand, WorkersMeetThroughTheLaunchersStore) {
  Command command({own_path(), "run", "-n", "3", "--", own_path(), "meet"});
  EXPECT_EQ(command.wait().exit_code, 0) << command.text.text();
  for (const char* rank : {"0", "1", "2"}) {
    const std::string r = rank;
    EXPECT_THAT(command.text.text(),
                HasSubstr("[rank " + r + "] rank " + r + " of 3 met through shoal\n"));
  }
}

TEST(RunCommand, WorkersMeetUnderMpirun) {
  std::string mpirun;
  try {
    mpirun = find_program("mpirun", "/usr/bin:/usr/local/bin");
  } catch (const InvalidInput&) {
    GTEST_SKIP() << "mpirun is not installed";
  }
  std::vector<std::string> argv = {mpirun, "-n", "2", own_path(), "meet"};
  if (::geteuid() == 0) argv.insert(argv.begin() + 1, "--allow-run-as-root");
  argv.insert(argv.begin() + 1, "--oversubscribe");
  Command command(argv);
  EXPECT_EQ(command.wait().exit_code, 0) << command.text.text();
  EXPECT_THAT(command.text.text(), HasSubstr("rank 0 of 2 met through mpirun\n"));
  EXPECT_THAT(command.text.text(), HasSubstr("rank 1 of 2 met through mpirun\n"));
}

TEST(RunCommand, CtrlCIsACleanStop) {
  Command command = run_shell(
      {"-n", "2"}, "trap 'echo saved; exit 130' INT; echo ready; while true; do sleep 0.01; done");
  ASSERT_TRUE(command.text.wait_for("[rank 0] ready"));
  ASSERT_TRUE(command.text.wait_for("[rank 1] ready"));
  ::kill(command.pid(), SIGINT);
  const Ending ending = command.wait();
  EXPECT_EQ(ending.exit_code, 130) << command.text.text();
  EXPECT_EQ(ending.signal, 0);
  EXPECT_THAT(command.text.text(), HasSubstr("[rank 0] saved\n"));
  EXPECT_THAT(command.text.text(), HasSubstr("[rank 1] saved\n"));
}

TEST(RunCommand, SigtermGives143) {
  Command command = run_shell({"-n", "1"}, "echo ready; exec sleep 1000");
  ASSERT_TRUE(command.text.wait_for("ready"));
  ::kill(command.pid(), SIGTERM);
  EXPECT_EQ(command.wait().exit_code, 143);
}

TEST(RunCommand, ASecondCtrlCEndsEverythingAtOnce) {
  Command command = run_shell({"-n", "2"},
                              "trap 'echo busy' INT; sleep 1000 & echo child $!; echo pid $$; "
                              "while true; do sleep 0.01; done");
  const pid_t worker = command.text.number_after("pid ");
  const pid_t grandchild = command.text.number_after("child ");
  ::kill(command.pid(), SIGINT);
  ASSERT_TRUE(command.text.wait_for("busy"));
  ::kill(command.pid(), SIGINT);
  EXPECT_EQ(command.wait().exit_code, 130);
  EXPECT_TRUE(is_gone_soon(worker));
  EXPECT_TRUE(is_gone_soon(grandchild));
}

TEST(RunCommand, AKilledLauncherTakesItsWorkersAndTheirChildrenAlong) {
  Command command =
      run_shell({"-n", "1"}, "trap '' TERM INT; sleep 1000 & echo child $!; echo pid $$; wait");
  const pid_t worker = command.text.number_after("pid ");
  const pid_t grandchild = command.text.number_after("child ");
  ASSERT_TRUE(is_alive(worker));
  ASSERT_TRUE(is_alive(grandchild));
  ::kill(command.pid(), SIGKILL);
  EXPECT_EQ(command.wait().signal, SIGKILL);
  EXPECT_TRUE(is_gone_soon(worker));
  EXPECT_TRUE(is_gone_soon(grandchild));
}

TEST(RunCommand, AKilledLauncherOfAnotherNodeEndsTheJob) {
  const int port = serve_store("127.0.0.1", 0, random_secret())->port();
  const auto start = [&](const std::string& node) {
    return run_shell(
        {"-n", "1", "--nodes", "2", "--node-rank", node, "--master",
         "127.0.0.1:" + std::to_string(port), "--silence-seconds", "1", "--grace-seconds", "0.2"},
        "echo pid $$; exec sleep 1000");
  };
  for (const bool kill_first : {true, false}) {
    Command first = start("0");
    Command second = start("1");
    ASSERT_TRUE(is_alive(first.text.number_after("pid ")));
    ASSERT_TRUE(is_alive(second.text.number_after("pid ")));
    Command& victim = kill_first ? first : second;
    Command& survivor = kill_first ? second : first;
    ::kill(victim.pid(), SIGKILL);
    victim.wait();
    EXPECT_EQ(survivor.wait().exit_code, 3) << survivor.text.text();
    EXPECT_THAT(survivor.text.text(), HasSubstr(kill_first ? "the launcher of node 0 is gone"
                                                           : "the launcher of node 1 is gone"));
    EXPECT_TRUE(is_gone_soon(survivor.text.number_after("pid ")));
  }
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "run") return shoal::run_command(argc - 2, argv + 2);
  if (argc > 1 && std::string(argv[1]) == "meet") return shoal::meet_the_others();
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}

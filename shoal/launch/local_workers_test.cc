#include "shoal/launch/local_workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "shoal/comm/store.h"
#include "shoal/core/error.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {
namespace {

using testing::HasSubstr;

// A port that was free a moment ago.
int free_port() { return serve_store("127.0.0.1", 0, random_secret())->port(); }

LaunchOptions node(int rank, int port, const std::string& script) {
  LaunchOptions options = shell_workers(2, script);
  options.nodes = 2;
  options.node_rank = rank;
  options.master = "127.0.0.1:" + std::to_string(port);
  options.grace_seconds = 1;
  return options;
}

TEST(Launch, EveryWorkerKnowsItsPlace) {
  RunningLaunch job(shell_workers(
      3,
      "echo $SHOAL_RANK of $SHOAL_SIZE, local $SHOAL_LOCAL_RANK of $SHOAL_LOCAL_SIZE, "
      "threads $OMP_NUM_THREADS"));
  EXPECT_EQ(job.wait(), 0) << job.err.text();
  for (const char* rank : {"0", "1", "2"}) {
    const std::string r = rank;
    EXPECT_THAT(job.out.text(),
                HasSubstr("[rank " + r + "] " + r + " of 3, local " + r + " of 3, threads 1\n"));
  }
}

TEST(Launch, OneWorkerIsNotPrefixed) {
  RunningLaunch job(shell_workers(1, "echo hello"));
  EXPECT_EQ(job.wait(), 0);
  EXPECT_EQ(job.out.text(), "hello\n");
}

TEST(Launch, VariablesReachTheWorkers) {
  LaunchOptions options = shell_workers(1, "echo $COLOUR");
  options.variables = {"COLOUR=blue"};
  RunningLaunch job(options);
  EXPECT_EQ(job.wait(), 0);
  EXPECT_EQ(job.out.text(), "blue\n");
}

TEST(Launch, AKilledWorkerEndsTheJob) {
  LaunchOptions options = shell_workers(3, "echo rank $SHOAL_RANK is $$; exec sleep 1000");
  options.grace_seconds = 0.2;
  RunningLaunch job(options);
  const pid_t victim = job.out.number_after("rank 1 is ");
  const pid_t others[] = {job.out.number_after("rank 0 is "), job.out.number_after("rank 2 is ")};
  ASSERT_EQ(::kill(victim, SIGKILL), 0);
  EXPECT_EQ(job.wait(), 3);
  EXPECT_THAT(job.err.text(), HasSubstr("error: worker 1 (pid " + std::to_string(victim) +
                                        ") was killed by signal 9 (SIGKILL)\n"));
  for (const pid_t pid : others) EXPECT_TRUE(is_gone_soon(pid));
}

TEST(Launch, TwoLaunchersAreOneJob) {
  const int port = free_port();
  const std::string script = "echo $SHOAL_RANK of $SHOAL_SIZE at $SHOAL_STORE";
  RunningLaunch second(node(1, port, script));
  RunningLaunch first(node(0, port, script));
  EXPECT_EQ(first.wait(), 0) << first.err.text();
  EXPECT_EQ(second.wait(), 0) << second.err.text();
  EXPECT_THAT(first.out.text(), HasSubstr("[rank 1] 1 of 4 at 127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(second.out.text(), HasSubstr("[rank 3] 3 of 4 at 127.0.0.1:"));
}

TEST(Launch, AFailureOnOneNodeEndsTheOther) {
  const int port = free_port();
  const std::string script = "echo pid $$; test $SHOAL_RANK = 3 && exit 5; exec sleep 1000";
  RunningLaunch first(node(0, port, script));
  RunningLaunch second(node(1, port, script));
  EXPECT_EQ(second.wait(), 5);
  EXPECT_EQ(first.wait(), 5);
  EXPECT_THAT(first.err.text(), HasSubstr("error: worker 3 (pid "));
  EXPECT_THAT(first.err.text(), HasSubstr(" on node 1) ended with exit code 5\n"));
  EXPECT_TRUE(is_gone_soon(first.out.number_after("pid ")));
}

TEST(Launch, TheCauseOnOneNodeIsWhatBothSay) {
  const int port = free_port();
  // Rank 3 fails; the others find out, rank 0 before rank 3 has ended.
  const std::string script =
      "if [ $SHOAL_RANK = 3 ]; then sleep 0.4; echo 'error: the disk is full' >&2; exit 1; fi; "
      "sleep 0.$SHOAL_RANK; echo error: rank 3 has left rank $SHOAL_RANK >&2; exit 3";
  LaunchOptions first_options = node(0, port, script);
  LaunchOptions second_options = node(1, port, script);
  first_options.grace_seconds = second_options.grace_seconds = 30;
  RunningLaunch first(first_options);
  RunningLaunch second(second_options);
  EXPECT_EQ(first.wait(), 1);
  EXPECT_EQ(second.wait(), 1);
  EXPECT_EQ(first.err.text(), "[rank 3] error: the disk is full\n");
  EXPECT_EQ(second.err.text(), "[rank 3] error: the disk is full\n");
}

TEST(Launch, AStopOnOneNodeStopsTheOther) {
  const int port = free_port();
  const std::string script = "trap 'exit 130' INT; echo ready; while true; do sleep 0.01; done";
  RunningLaunch first(node(0, port, script));
  RunningLaunch second(node(1, port, script));
  ASSERT_TRUE(first.out.wait_for("[rank 1] ready"));
  ASSERT_TRUE(second.out.wait_for("[rank 3] ready"));
  second.stop.ask(SIGINT);
  EXPECT_EQ(second.wait(), 130);
  EXPECT_EQ(first.wait(), 130) << first.err.text();
}

TEST(Launch, ALauncherThatNeverComesIsNamed) {
  LaunchOptions options = node(0, free_port(), "exec sleep 1000");
  options.join_seconds = 0.5;
  options.grace_seconds = 0.2;
  RunningLaunch job(options);
  EXPECT_EQ(job.wait(), 3);
  EXPECT_THAT(job.err.text(), HasSubstr("the launcher of node 1 has not joined"));
}

TEST(Launch, WithoutNodeZeroTheOthersGiveUp) {
  LaunchOptions options = node(1, free_port(), "true");
  options.join_seconds = 0.3;
  std::ostringstream sink;
  EXPECT_THROW(launch(options, sink, sink, StopRequest{}), TimedOut);
}

TEST(Launch, LaunchersWithDifferentNumbersAreRefused) {
  const int port = free_port();
  LaunchOptions odd = node(1, port, "true");
  odd.workers = 3;
  LaunchOptions first_options = node(0, port, "true");
  first_options.join_seconds = 5;
  first_options.grace_seconds = 0.2;
  RunningLaunch first(first_options);
  RunningLaunch second(odd);
  EXPECT_EQ(second.wait(), -1);
  EXPECT_THAT(second.err.text(), HasSubstr("6 workers on 2 nodes"));
  first.stop.ask(SIGTERM);
  first.wait();
}

TEST(Launch, APortInUseIsRefused) {
  const auto occupant = serve_store("127.0.0.1", 0, random_secret());
  std::ostringstream sink;
  EXPECT_THROW(launch(node(0, occupant->port(), "true"), sink, sink, StopRequest{}), InvalidInput);
}

TEST(Launch, BetweenHostsASecretIsNeeded) {
  LaunchOptions options = node(0, free_port(), "true");
  options.master = "192.0.2.1:4000";
  std::ostringstream sink;
  try {
    launch(options, sink, sink, StopRequest{});
    FAIL() << "was taken";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("--secret-file"));
  }
}

TEST(Launch, ASecretThatDiffersIsRefused) {
  const int port = free_port();
  LaunchOptions first_options = node(0, port, "exec sleep 1000");
  first_options.secret = "the right secret";
  LaunchOptions stranger = node(1, port, "true");
  stranger.secret = "the wrong secret";
  RunningLaunch first(first_options);
  ASSERT_TRUE(first.out.text().empty());
  RunningLaunch second(stranger);
  EXPECT_EQ(second.wait(), -1);
  EXPECT_THAT(second.err.text(), HasSubstr("thrown: "));
  first.stop.ask(SIGTERM);
  // Its neighbour never came: it must not wait for it for ever.
  EXPECT_NE(first.wait(), 0);
}

TEST(LaunchOptions, EveryFaultIsNamed) {
  LaunchOptions options;
  options.workers = 0;
  options.nodes = 2;
  options.node_rank = 2;
  options.hosts_file = "h";
  options.grace_seconds = 0;
  options.first_rank = 3;
  EXPECT_EQ(options.problems().size(), 7U);
  EXPECT_TRUE(shell_workers(1, "true").problems().empty());
}

}  // namespace
}  // namespace shoal

#include "shoal/launch/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "shoal/core/error.h"
#include "shoal/launch/test_launcher.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr SupervisorOptions kQuick{.grace = milliseconds(200), .stop = milliseconds(60000)};
constexpr SupervisorOptions kPatient{.grace = milliseconds(60000), .stop = milliseconds(60000)};

// Runs one shell script per rank, with its rank in $1.
struct Supervised {
  explicit Supervised(SupervisorOptions options = kPatient, Neighbours* neighbours = nullptr)
      : out(&out_text),
        err(&err_text),
        output(out, err, {}),
        supervisor(options, output, stop, neighbours,
                   [this](const Failure& failure) { lost.push_back(failure.rank); }) {}

  void start(int rank, const std::string& script) {
    supervisor.start({.rank = rank,
                      .name = "worker " + std::to_string(rank),
                      .where = "",
                      .command = {.argv = {"/bin/sh", "-c", script},
                                  .variables = {"PATH=/usr/bin:/bin"},
                                  .passed_fds = {},
                                  .has_input = false},
                      .is_launcher = false});
  }

  WatchedText out_text;
  WatchedText err_text;
  std::ostream out;
  std::ostream err;
  StopRequest stop;
  std::vector<int> lost;
  MergedOutput output;
  Supervisor supervisor;
};

TEST(Supervisor, AllWell) {
  Supervised job;
  job.start(0, "echo a");
  job.start(1, "echo b >&2");
  EXPECT_EQ(job.supervisor.run(), 0);
  EXPECT_EQ(job.out_text.text(), "[rank 0] a\n");
  EXPECT_EQ(job.err_text.text(), "[rank 1] b\n");
  EXPECT_THAT(job.lost, IsEmpty());
}

TEST(Supervisor, AFailedWorkersCodeIsTheJobs) {
  Supervised job(kQuick);
  job.start(0, "exec sleep 1000");
  job.start(1, "exit 5");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_THAT(job.err_text.text(), HasSubstr("error: worker 1 (pid "));
  EXPECT_THAT(job.err_text.text(), HasSubstr("ended with exit code 5"));
  EXPECT_THAT(job.err_text.text(), HasSubstr("worker 0 did not end by themselves"));
  EXPECT_THAT(job.lost, ElementsAre(1));
}

TEST(Supervisor, AWorkerThatHasExplainedItselfIsNotExplainedAgain) {
  Supervised job;
  job.start(0, "echo 'error: bad input' >&2; exit 2");
  job.start(1, "echo 'error: bad input' >&2; exit 2");
  EXPECT_EQ(job.supervisor.run(), 2);
  EXPECT_EQ(job.err_text.text(), "[ranks 0, 1] error: bad input\n");
}

TEST(Supervisor, AKilledWorkerIsALostOne) {
  Supervised job;
  job.start(0, "kill -9 $$");
  EXPECT_EQ(job.supervisor.run(), 3);
  EXPECT_THAT(job.err_text.text(), HasSubstr("was killed by signal 9 (SIGKILL)"));
}

TEST(Supervisor, SurvivorsMayEndWithWordsOfTheirOwn) {
  Supervised job;
  // Rank 1 notices by itself that the pipe's other end is gone.
  job.start(0, "kill -9 $$");
  job.start(1, "sleep 0.3; echo 'error: rank 0 is lost' >&2; exit 3");
  EXPECT_EQ(job.supervisor.run(), 3);
  EXPECT_THAT(job.err_text.text(), HasSubstr("[rank 1] error: rank 0 is lost"));
  EXPECT_THAT(job.err_text.text(), Not(HasSubstr("did not end")));
  EXPECT_THAT(job.lost, ElementsAre(0, 1));
}

TEST(Supervisor, TheCauseCountsNotTheConsequence) {
  Supervised job;
  job.start(0, "echo 'error: rank 1 has left' >&2; exit 3");
  job.start(1, "sleep 0.3; echo 'error: the loss is not finite' >&2; exit 5");
  job.start(2, "sleep 0.6; echo 'error: rank 0 has left' >&2; exit 3");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_EQ(job.err_text.text(), "[rank 1] error: the loss is not finite\n");
  EXPECT_THAT(job.lost, ElementsAre(0, 1, 2));
}

TEST(Supervisor, ASilentCauseIsNamedASilentConsequenceIsNot) {
  Supervised job;
  job.start(0, "exit 3");
  job.start(1, "sleep 0.3; exit 5");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_THAT(job.err_text.text(), HasSubstr("error: worker 1 (pid "));
  EXPECT_THAT(job.err_text.text(), Not(HasSubstr("worker 0")));
}

TEST(Supervisor, WithoutACauseTheConsequencesAreShown) {
  Supervised job;
  job.start(0, "echo 'error: rank 1 has not come' >&2; exit 3");
  job.start(1, "sleep 0.3; exit 3");
  EXPECT_EQ(job.supervisor.run(), 3);
  EXPECT_EQ(job.err_text.text(), "[rank 0] error: rank 1 has not come\n");
}

TEST(Supervisor, AfterADeathOneSurvivorsSentenceIsEnough) {
  Supervised job;
  job.start(0, "kill -9 $$");
  job.start(1, "sleep 0.3; echo 'error: rank 0 has died' >&2; exit 3");
  job.start(2, "sleep 0.6; echo 'error: rank 0 was lost (rank 1 found out)' >&2; exit 3");
  EXPECT_EQ(job.supervisor.run(), 3);
  EXPECT_THAT(job.err_text.text(), HasSubstr("was killed by signal 9 (SIGKILL)\n"));
  EXPECT_THAT(job.err_text.text(), HasSubstr("[rank 1] error: rank 0 has died\n"));
  EXPECT_THAT(job.err_text.text(), Not(HasSubstr("found out")));
}

TEST(Supervisor, AWorkerThatIgnoresSigtermIsKilled) {
  Supervised job(kQuick);
  job.start(0, "trap '' TERM; echo pid $$; while true; do sleep 1000; done");
  job.start(1, "exit 1");
  EXPECT_EQ(job.supervisor.run(), 1);
  EXPECT_TRUE(is_gone_soon(job.out_text.number_after("pid ")));
}

TEST(Supervisor, WhatAWorkerLeavesInItsGroupDies) {
  Supervised job;
  job.start(0, "sleep 1000 & echo pid $!");
  EXPECT_EQ(job.supervisor.run(), 0);
  EXPECT_TRUE(is_gone_soon(job.out_text.number_after("pid ")));
}

TEST(Supervisor, AStopIsPassedOnOnceAndWaitedFor) {
  Supervised job;
  const std::string script =
      "trap 'echo checkpoint; exit 130' INT; echo ready; while true; do sleep 0.01; done";
  job.start(0, script);
  job.start(1, script);
  std::jthread user([&] {
    job.out_text.wait_for("[rank 0] ready");
    job.out_text.wait_for("[rank 1] ready");
    job.stop.ask(SIGINT);
  });
  EXPECT_EQ(job.supervisor.run(), 130);
  EXPECT_THAT(job.out_text.text(), HasSubstr("[rank 0] checkpoint\n"));
  EXPECT_THAT(job.out_text.text(), HasSubstr("[rank 1] checkpoint\n"));
  EXPECT_EQ(job.err_text.text(), "");
  EXPECT_THAT(job.lost, IsEmpty());
}

// A last checkpoint that does not fit the disk is not a clean stop.
TEST(Supervisor, AWorkerThatExplainsWhyItCouldNotStopWellCounts) {
  Supervised job;
  job.start(0,
            "trap 'echo error: disk full >&2; exit 1' INT; echo ready; "
            "while true; do sleep 0.01; done");
  job.start(1, "trap 'exit 130' INT; echo ready; while true; do sleep 0.01; done");
  std::jthread user([&] {
    job.out_text.wait_for("[rank 0] ready");
    job.out_text.wait_for("[rank 1] ready");
    job.stop.ask(SIGINT);
  });
  EXPECT_EQ(job.supervisor.run(), 1);
  EXPECT_THAT(job.err_text.text(), HasSubstr("error: disk full"));
}

TEST(Supervisor, AWorkerThatEndsInItsOwnWayWhenAskedToStopHasStopped) {
  Supervised job;
  job.start(0, "trap 'exit 1' INT; echo ready; while true; do sleep 0.01; done");
  std::jthread user([&] {
    job.out_text.wait_for("ready");
    job.stop.ask(SIGINT);
  });
  EXPECT_EQ(job.supervisor.run(), 130);
}

TEST(Supervisor, ASecondStopKills) {
  Supervised job;
  job.start(0, "trap 'echo busy' INT; echo ready; while true; do sleep 0.01; done");
  std::jthread user([&] {
    job.out_text.wait_for("ready");
    job.stop.ask(SIGINT);
    job.out_text.wait_for("busy");
    job.stop.ask(SIGTERM);
  });
  EXPECT_EQ(job.supervisor.run(), 143);
}

TEST(Supervisor, WorkersThatStopTogetherByThemselvesAreWaitedFor) {
  Supervised job(kQuick);
  job.start(0, "exit 143");
  job.start(1, "sleep 1; echo written; exit 143");  // longer than the grace
  EXPECT_EQ(job.supervisor.run(), 143);
  EXPECT_THAT(job.out_text.text(), HasSubstr("[rank 1] written"));
}

TEST(Supervisor, AWorkerThatPrintsWithoutEndStarvesNobody) {
  Supervised job(kQuick);
  job.start(0, "exec yes");
  job.start(1, "echo here; exit 4");
  EXPECT_EQ(job.supervisor.run(), 4);
  EXPECT_THAT(job.out_text.text(), HasSubstr("[rank 1] here"));
}

TEST(Supervisor, TheEndOfTheControlChannelEndsTheWorkers) {
  std::array<int, 2> control{};
  ASSERT_EQ(::pipe2(control.data(), O_CLOEXEC), 0);
  SupervisorOptions options = kPatient;
  options.control_fd = control[0];
  Supervised job(options);
  job.start(0, "echo ready; exec sleep 1000");
  std::jthread user([&] {
    job.out_text.wait_for("ready");
    ::close(control[1]);
  });
  EXPECT_EQ(job.supervisor.run(), 3);
  ::close(control[0]);
}

TEST(Supervisor, TheControlChannelCanAskToStop) {
  std::array<int, 2> control{};
  ASSERT_EQ(::pipe2(control.data(), O_CLOEXEC), 0);
  SupervisorOptions options = kPatient;
  options.control_fd = control[0];
  Supervised job(options);
  job.start(0, "trap 'exit 0' TERM; echo ready; while true; do sleep 0.01; done");
  std::jthread user([&] {
    job.out_text.wait_for("ready");
    ASSERT_EQ(::write(control[1], "garbage\nstop 15\n", 16), 16);
  });
  EXPECT_EQ(job.supervisor.run(), 143);
  ::close(control[0]);
  ::close(control[1]);
}

// A launcher of another node, as this test sees fit.
class ScriptedNeighbours : public Neighbours {
 public:
  void tell_failure(const Failure& failure) override { told.push_back(failure.exit_code); }
  void tell_stop(int signal_number) override { told.push_back(-signal_number); }
  std::optional<Failure> failure() override { return bad_news; }
  int stop_signal() override { return asked; }
  bool is_needed() override { return needed-- > 0; }

  std::optional<Failure> bad_news;
  int asked = 0;
  int needed = 0;
  std::vector<int> told;
};

TEST(Supervisor, AFailureOnAnotherNodeEndsTheJobHere) {
  ScriptedNeighbours neighbours;
  neighbours.bad_news = Failure{.rank = 7, .exit_code = 5, .sentence = "worker 7 is gone"};
  Supervised job(kQuick, &neighbours);
  job.start(0, "exec sleep 1000");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_THAT(job.err_text.text(), HasSubstr("error: worker 7 is gone\n"));
  EXPECT_THAT(neighbours.told, IsEmpty());
}

TEST(Supervisor, ACauseOnAnotherNodeStandsForTheConsequenceHere) {
  ScriptedNeighbours neighbours;
  neighbours.bad_news = Failure{
      .rank = 7, .exit_code = 5, .sentence = "worker 7 is gone", .own_words = "the disk is full"};
  Supervised job(kPatient, &neighbours);
  job.start(0, "echo 'error: rank 7 has left' >&2; exit 3");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_EQ(job.err_text.text(), "[rank 7] error: the disk is full\n");
}

TEST(Supervisor, AConsequenceOnAnotherNodeGivesWayToTheCauseHere) {
  ScriptedNeighbours neighbours;
  neighbours.bad_news = Failure{.rank = 7,
                                .exit_code = 3,
                                .sentence = "worker 7 is gone",
                                .own_words = "rank 0 has left",
                                .consequence = true};
  Supervised job(kPatient, &neighbours);
  job.start(0, "sleep 0.3; echo 'error: the disk is full' >&2; exit 1");
  EXPECT_EQ(job.supervisor.run(), 1);
  EXPECT_EQ(job.err_text.text(), "[rank 0] error: the disk is full\n");
  EXPECT_THAT(neighbours.told, ElementsAre(1));
}

TEST(Supervisor, AConsequenceOnAnotherNodeIsShownWhenItIsAllThereIs) {
  ScriptedNeighbours neighbours;
  neighbours.bad_news = Failure{.rank = 7,
                                .exit_code = 3,
                                .sentence = "worker 7 is gone",
                                .own_words = "rank 0 has not come",
                                .consequence = true};
  Supervised job(kQuick, &neighbours);
  job.start(0, "exec sleep 1000");
  EXPECT_EQ(job.supervisor.run(), 3);
  EXPECT_THAT(job.err_text.text(), HasSubstr("[rank 7] error: rank 0 has not come\n"));
}

TEST(Supervisor, OwnFailuresAndStopsAreToldToTheOthers) {
  ScriptedNeighbours neighbours;
  neighbours.needed = 2;
  Supervised job(kQuick, &neighbours);
  job.start(0, "exit 5");
  EXPECT_EQ(job.supervisor.run(), 5);
  EXPECT_THAT(neighbours.told, ElementsAre(5));
  EXPECT_LT(neighbours.needed, 1);
}

TEST(Supervisor, AStopOnAnotherNodeIsPassedOn) {
  ScriptedNeighbours neighbours;
  neighbours.asked = SIGTERM;
  Supervised job(kPatient, &neighbours);
  job.start(0, "exec sleep 1000");
  EXPECT_EQ(job.supervisor.run(), 143);
}

TEST(Supervisor, WhatCannotStartLeavesNobody) {
  {
    Supervised job;
    job.start(0, "exec sleep 1000");
    SupervisedCommand bad{
        .rank = 1,
        .name = "worker 1",
        .where = "",
        .command = {.argv = {"/nowhere"}, .variables = {}, .passed_fds = {}, .has_input = false},
        .is_launcher = false};
    EXPECT_THROW(job.supervisor.start(bad), InvalidInput);
  }
}

}  // namespace
}  // namespace shoal

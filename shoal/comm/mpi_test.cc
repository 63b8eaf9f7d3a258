// Engine mpi over an MPI of threads. The real ones are tried by tests/must_show/32_over_mpi.py and,
// by a command, in shoal/cli/mpi_command_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/comm/fake_mpi.h"
#include "shoal/comm/mpi_stream.h"
#include "shoal/comm/test_frames.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

TEST(MpiStream, FramesArriveWholeHoweverTheyAreTorn) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    FakeMpi mpi(2);
    const TearBytes tear{.seed = seed};
    MpiSender sender(mpi.process(0), {1, 7}, tear);
    MpiReceiver receiver(mpi.process(1), {0, 7}, tear);
    ASSERT_NO_FATAL_FAILURE(expect_frames_arrive(
        sender, receiver, {0, 1, 40, 4095, 4096, 4097, 200000, 262144, 3, 262144, 262144}, seed));
  }
}

TEST(MpiStream, ADamagedHeaderIsSeen) {
  constexpr std::size_t kMagic = 0;
  constexpr std::size_t kKind = 4;
  constexpr std::size_t kBytes = 8;
  for (const std::size_t position : {kMagic, kKind, kBytes}) {
    FakeMpi mpi(2);
    mpi.damage_byte(position);
    MpiSender sender(mpi.process(0), {1, 7}, {});
    MpiReceiver receiver(mpi.process(1), {0, 7}, {});
    FrameHeader header;
    header.kind = FrameKind::waiting;
    sender.queue(header, {});
    while (!sender.empty()) sender.flush();
    const Deadline deadline = soon();
    auto event = FrameReceiver::Event::none;
    while (event == FrameReceiver::Event::none && !deadline.passed()) event = receiver.read();
    if (position == kKind) {  // waiting ^ 4 is first_phase: a kind like another
      EXPECT_EQ(event, FrameReceiver::Event::header);
    } else {
      EXPECT_EQ(event, FrameReceiver::Event::damaged) << position;
    }
  }
}

TEST(MpiStream, ALostPeerIsAnEndOnBothSides) {
  FakeMpi mpi(2);
  MpiSender sender(mpi.process(0), {1, 7}, {});
  MpiReceiver receiver(mpi.process(1), {0, 7}, {});
  mpi.lose(1);
  std::vector<char> payload(100000, 'x');
  FrameHeader header;
  header.bytes = 100000;
  sender.queue(header, {{payload.data(), payload.size()}});
  EXPECT_EQ(sender.flush(), Flow::gone);
  EXPECT_EQ(receiver.read(), FrameReceiver::Event::gone);
}

CommOptions over(FakeMpi& mpi) {
  CommOptions options;
  options.engine = Engine::mpi;
  options.mpi_process = [&mpi](int rank) { return mpi.process(rank); };
  return options;
}

TEST(MpiGroups, LeaveNothingUnderWayWhenTheyEnd) {
  FakeMpi mpi(3);
  const Watchdog watchdog("groups over mpi");
  run_ranks(3, over(mpi), [&](World& world) {
    for (const char* name : {"first", "second", "third"}) {
      const auto group = world.form_group(name, {0, 1, 2}, soon());
      std::vector<float> values(100000, 1.0F);
      const Buffer all = buffer(std::span(values));
      group->all_reduce({&all, 1}, ReduceOp::sum, soon());
      EXPECT_EQ(values[99999], 3.0F);
    }
  });
  for (int rank = 0; rank < 3; ++rank) mpi.process(rank)->end();
  EXPECT_EQ(mpi.open_requests(), 0U);
}

TEST(MpiGroups, OfSomeRanksShareNothing) {
  FakeMpi mpi(4);
  const Watchdog watchdog("sub-groups over mpi");
  run_ranks(4, over(mpi), [&](World& world) {
    const int rank = world.rank();
    const auto all = world.form_group("all", {0, 1, 2, 3}, soon());
    const bool even = rank % 2 == 0;
    const auto half = world.form_group(even ? "even" : "odd",
                                       even ? std::vector{0, 2} : std::vector{1, 3}, soon());
    for (int again = 0; again < 20; ++again) {
      std::vector<std::int32_t> ours(3000, rank + again);
      std::vector<std::int32_t> halves(5, rank);
      const Buffer of_all = buffer(std::span(ours));
      const Buffer of_half = buffer(std::span(halves));
      half->all_reduce({&of_half, 1}, ReduceOp::sum, soon());
      all->all_reduce({&of_all, 1}, ReduceOp::sum, soon());
      EXPECT_THAT(ours, Each(6 + 4 * again));
      EXPECT_THAT(halves, Each(even ? 2 : 4));
    }
  });
}

// By rank, what an all_reduce of all but the last throws.
std::vector<std::string> words_without_the_last(FakeMpi& mpi, int size, double seconds,
                                                const std::function<void(Group&)>& last) {
  const Watchdog watchdog("a rank over mpi that does not come");
  const auto store = make_memory_store();
  return words_of_ranks(size, [&](int rank) -> std::string {
    const auto world = join_world(store, {rank, size}, over(mpi), soon());
    const auto group = world->form_group("all", all_ranks(size), soon());
    std::vector<float> values(100000, 1.0F);
    const Buffer all = buffer(std::span(values));
    group->all_reduce({&all, 1}, ReduceOp::sum, soon());
    if (rank == size - 1) {
      last(*group);
      return "";
    }
    group->all_reduce({&all, 1}, ReduceOp::sum, Deadline::after_seconds(seconds));
    return "no error";
  });
}

TEST(MpiGroups, NameTheRankThatDoesNotCome) {
  FakeMpi mpi(3);
  const auto words = words_without_the_last(
      mpi, 3, 0.5, [](Group&) { std::this_thread::sleep_for(std::chrono::milliseconds(1500)); });
  for (const int rank : {0, 1}) {
    EXPECT_THAT(words[rank], AllOf(HasSubstr("all_reduce #2 of group all"), HasSubstr("rank 2")));
  }
}

TEST(MpiGroups, SayWhoAborted) {
  FakeMpi mpi(3);
  const auto words = words_without_the_last(mpi, 3, 80, [](Group& group) { group.abort(); });
  // Whoever hears of it from another may say so.
  for (const int rank : {0, 1}) EXPECT_THAT(words[rank], HasSubstr("rank 2"));
  EXPECT_THAT(words[0] + words[1], HasSubstr("rank 2 has aborted the group"));
}

// Others' farewells come with messages, which a receive from somebody else does not read.
TEST(MpiGroups, AReceiveHearsOfAnotherRanksAbort) {
  FakeMpi mpi(3);
  const Watchdog watchdog("a receive over mpi");
  const auto store = make_memory_store();
  const auto words = words_of_ranks(3, [&](int rank) -> std::string {
    const auto world = join_world(store, {rank, 3}, over(mpi), soon());
    const auto group = world->form_group("all", {0, 1, 2}, soon());
    group->barrier(soon());
    if (rank == 2) {
      group->abort();
      return "";
    }
    std::vector<float> values(10);
    group->receive(buffer(std::span(values)), 1 - rank, Deadline::after_seconds(80));
    return "no error";
  });
  EXPECT_THAT(words[0] + words[1], HasSubstr("rank 2 has aborted the group"));
  for (const int rank : {0, 1}) EXPECT_NE(words[rank], "no error");
}

TEST(MpiGroups, NeedProcessesOfOneLaunch) {
  FakeMpi mpi(2);
  CommOptions options = over(mpi);
  const auto error_of = [&](const CommOptions& asked) {
    try {
      run_ranks(2, asked, [&](World& world) { world.form_group("all", {0, 1}, soon()); });
    } catch (const InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  options.mpi_process = [&](int) { return mpi.process(1); };
  EXPECT_THAT(error_of(options), HasSubstr("ranks 0 and 1 are both rank 1 of 2 processes of"));
  FakeMpi other(3);
  options.mpi_process = [&](int rank) { return rank == 0 ? mpi.process(0) : other.process(1); };
  EXPECT_THAT(error_of(options), HasSubstr("start all workers with one mpirun"));
  options.mpi_process = nullptr;
  EXPECT_THAT(error_of(options), HasSubstr("needs workers that an MPI started"));
}

TEST(MpiProcess, HandsOutEachTagOnce) {
  FakeMpi mpi(3);
  mpi.largest_tag = 40;
  std::set<int> tags;
  int groups = 0;
  try {
    for (;; ++groups) {
      for (int rank = 0; rank < 3; ++rank) {
        const int first = mpi.process(rank)->new_tags(2);
        EXPECT_TRUE(tags.insert(first).second);
        EXPECT_TRUE(tags.insert(first + 1).second);
        EXPECT_LE(first + 1, 40);
      }
    }
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no tags are left"));
  }
  EXPECT_EQ(groups, 6);
}

}  // namespace
}  // namespace shoal::test

// Worlds: who is there, groups of some of them, messages, and everything that goes wrong.
#include "shoal/comm/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"
#include "shoal/core/options.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class WorldOn : public testing::TestWithParam<Engine> {
 protected:
  CommOptions options() const {
    CommOptions options;
    options.engine = GetParam();
    return options;
  }
  void on_ranks(int size, const std::function<void(World&)>& body) const {
    const Watchdog watchdog("a world of " + std::to_string(size));
    run_ranks(size, options(), body);
  }
};

TEST_P(WorldOn, KnowsRanksAndEngine) {
  on_ranks(3, [&](World& world) {
    EXPECT_EQ(world.size(), 3);
    EXPECT_EQ(world.local_size(), 3);
    EXPECT_EQ(world.local_rank(), world.rank());
    const auto group = world.form_group("all", {0, 1, 2}, soon());
    EXPECT_EQ(group->engine(), name_of(GetParam()));
    EXPECT_EQ(group->rank(), world.rank());
    EXPECT_EQ(group->name(), "all");
  });
}

TEST_P(WorldOn, GroupsOfSomeRanksWorkSideBySide) {
  on_ranks(4, [&](World& world) {
    const auto all = world.form_group("all", {0, 1, 2, 3}, soon());
    const bool even = world.rank() % 2 == 0;
    const auto half =
        even ? world.form_group("even", {0, 2}, soon()) : world.form_group("odd", {1, 3}, soon());
    const auto alone =
        world.form_group("alone" + std::to_string(world.rank()), {world.rank()}, soon());
    for (int i = 0; i < 20; ++i) {
      std::int32_t a = world.rank();
      std::int32_t b = world.rank();
      std::int32_t c = world.rank();
      const Buffer x = buffer(std::span(&a, 1));
      const Buffer y = buffer(std::span(&b, 1));
      const Buffer z = buffer(std::span(&c, 1));
      half->all_reduce({&x, 1}, ReduceOp::sum, soon());
      all->all_reduce({&y, 1}, ReduceOp::sum, soon());
      alone->all_reduce({&z, 1}, ReduceOp::sum, soon());
      ASSERT_EQ(a, even ? 2 : 4);
      ASSERT_EQ(b, 6);
      ASSERT_EQ(c, world.rank());
    }
  });
}

TEST_P(WorldOn, RefusesImpossibleGroups) {
  on_ranks(2, [&](World& world) {
    EXPECT_THROW(world.form_group("a", {1 - world.rank()}, soon()), InvalidInput);
    EXPECT_THROW(world.form_group("b", {1, 0}, soon()), InvalidInput);
    EXPECT_THROW(world.form_group("c", {0, 1, 2}, soon()), InvalidInput);
    EXPECT_THROW(world.form_group("d", {0, 0, 1}, soon()), InvalidInput);
    const auto group = world.form_group("e", {0, 1}, soon());
    EXPECT_THROW(world.form_group("e", {0, 1}, soon()), InvalidInput);
    std::vector<float> three(3);
    std::vector<double> doubles(6);
    const Buffer in = buffer(std::span(three));
    EXPECT_THROW(group->all_gather(in, in, soon()), InvalidInput);
    EXPECT_THROW(group->all_gather(in, buffer(std::span(doubles)), soon()), InvalidInput);
    EXPECT_THROW(group->reduce_scatter(in, in, ReduceOp::sum, soon()), InvalidInput);
    EXPECT_THROW(group->broadcast(in, 2, soon()), InvalidInput);
    EXPECT_THROW(group->send(in, world.rank(), soon()), InvalidInput);
    const std::vector<Buffer> mixed_types{in, buffer(std::span(doubles))};
    EXPECT_THROW(group->all_reduce(mixed_types, ReduceOp::sum, soon()), InvalidInput);
    group->barrier(soon());  // none of that has spent the group
  });
}

TEST_P(WorldOn, MessagesArriveInOrderWhateverTheirSize) {
  on_ranks(3, [&](World& world) {
    const auto group = world.form_group("all", {0, 1, 2}, soon());
    const std::vector<std::size_t> sizes{0, 1, 15, 16, 17, 1000, 70000, 0, 3, 900000, 5};
    const int next = (world.rank() + 1) % 3;
    const int before = (world.rank() + 2) % 3;
    for (const std::size_t size : sizes) {
      std::vector<std::int32_t> out(size, world.rank() * 1000 + static_cast<int>(size % 999));
      group->send(buffer(std::span<const std::int32_t>(out)), next, soon());
      std::vector<std::int32_t> in(size, -1);
      group->receive(buffer(std::span(in)), before, soon());
      const std::vector<std::int32_t> expected(size, before * 1000 + static_cast<int>(size % 999));
      ASSERT_TRUE(in == expected) << size;
    }
  });
}

// Both send far more than any buffer holds before either receives.
TEST_P(WorldOn, TwoRanksThatSendAtOnceDoNotWaitForEver) {
  on_ranks(2, [&](World& world) {
    const auto group = world.form_group("all", {0, 1}, soon());
    const std::size_t elements = 3 << 20;
    for (int round = 0; round < 2; ++round) {
      const std::vector<float> out(elements, static_cast<float>(world.rank() + 1));
      group->send(buffer(std::span<const float>(out)), 1 - world.rank(), soon());
      std::vector<float> in(elements);
      group->receive(buffer(std::span(in)), 1 - world.rank(), soon());
      ASSERT_EQ(in.front(), static_cast<float>(2 - world.rank()));
      ASSERT_EQ(in.back(), static_cast<float>(2 - world.rank()));
    }
  });
}

TEST_P(WorldOn, MessagesAndCollectivesRunAtOnceOnSeveralThreads) {
  on_ranks(2, [&](World& world) {
    const auto group = world.form_group("all", {0, 1}, soon());
    const int peer = 1 - world.rank();
    {
      std::jthread sender([&] {
        for (std::int64_t i = 0; i < 200; ++i) {
          group->send(buffer(std::span<const std::int64_t>(&i, 1)), peer, soon());
        }
      });
      std::jthread receiver([&] {
        for (std::int64_t i = 0; i < 200; ++i) {
          std::int64_t got = -1;
          group->receive(buffer(std::span(&got, 1)), peer, soon());
          EXPECT_EQ(got, i);
        }
      });
      for (int i = 0; i < 200; ++i) {
        std::int64_t one = 1;
        const Buffer all = buffer(std::span(&one, 1));
        group->all_reduce({&all, 1}, ReduceOp::sum, soon());
        ASSERT_EQ(one, 2);
      }
    }
    group->barrier(soon());
  });
}

TEST_P(WorldOn, AReceiveOfAnotherSizeNamesBoth) {
  on_ranks(2, [&](World& world) {
    const auto group = world.form_group("all", {0, 1}, soon());
    std::vector<float> three(3);
    std::vector<float> two(2);
    if (world.rank() == 0) {
      group->send(buffer(std::span(three)), 1, soon());
    } else {
      try {
        group->receive(buffer(std::span(two)), 0, soon());
        ADD_FAILURE() << "received";
      } catch (const InvalidInput& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 0 sent 3 x float32"),
                                        HasSubstr("rank 1 asked for 2 x float32")));
      }
    }
  });
}

TEST_P(WorldOn, AnAbsentRankIsNamedAtTheDeadline) {
  on_ranks(3, [&](World& world) {
    const auto group = world.form_group("data", {0, 1, 2}, soon());
    const auto other = world.form_group("other", {0, 1, 2}, soon());
    other->barrier(soon());  // so that 0 and 1 begin together
    if (world.rank() != 2) {
      std::vector<float> values(100000);
      const Buffer all = buffer(std::span(values));
      try {
        group->all_reduce({&all, 1}, ReduceOp::sum, Deadline::after(milliseconds(800)));
        ADD_FAILURE() << "reduced without rank 2";
      } catch (const TimedOut& error) {
        EXPECT_THAT(error.missing, ElementsAre(2));
        EXPECT_THAT(error.what(), HasSubstr("rank 2 has not joined all_reduce #1 of group data"));
      }
    }
    other->barrier(soon());  // another group is not touched
  });
}

TEST_P(WorldOn, ARankThatDoesNotComeToFormAGroupIsNamed) {
  on_ranks(3, [&](World& world) {
    const auto all = world.form_group("all", {0, 1, 2}, soon());
    all->barrier(soon());
    if (world.rank() != 1) {
      try {
        world.form_group("some", {0, 1, 2}, Deadline::after(milliseconds(800)));
        ADD_FAILURE() << "formed";
      } catch (const TimedOut& error) {
        EXPECT_THAT(error.missing, ElementsAre(1));
        EXPECT_THAT(error.what(), HasSubstr("rank 1 has not joined forming group some"));
      }
    }
    all->barrier(soon());
  });
}

TEST_P(WorldOn, ARankThatLeavesIsNamedAtOnce) {
  const auto start = std::chrono::steady_clock::now();
  on_ranks(3, [&](World& world) {
    auto group = world.form_group("data", {0, 1, 2}, soon());
    group->barrier(soon());
    if (world.rank() == 1) return;
    try {
      std::vector<float> values(10);
      const Buffer all = buffer(std::span(values));
      group->all_reduce({&all, 1}, ReduceOp::sum, soon());
      ADD_FAILURE() << "reduced";
    } catch (const PeerLost& error) {
      EXPECT_THAT(error.lost, ElementsAre(1)) << error.what();
    }
  });
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(20));
}

TEST_P(WorldOn, AbortFromAnotherThreadEndsEveryCall) {
  on_ranks(2, [&](World& world) {
    const auto group = world.form_group("data", {0, 1}, soon());
    if (world.rank() == 1) {
      // Waits for the other to go, which it does only because it was aborted.
      EXPECT_THROW(group->barrier(soon()), PeerLost);
      return;
    }
    std::int32_t value = 0;
    const Buffer one = buffer(std::span(&value, 1));
    std::jthread aborter([&] { group->abort(); });
    EXPECT_THROW(group->receive(one, 1, soon()), Cancelled);
    aborter.join();
    EXPECT_THROW(group->barrier(soon()), Cancelled);
    EXPECT_THROW(group->send(one, 1, soon()), Cancelled);
  });
}

TEST_P(WorldOn, RunRanksRethrowsTheCauseAndFreesTheOthers) {
  const Watchdog watchdog("a failing rank");
  for (int where = 0; where < 3; ++where) {
    try {
      run_ranks(3, options(), [&](World& world) {
        if (where == 0 && world.rank() == 1) throw NotFinite("a NaN", 3, "b1");
        const auto group = world.form_group("data", {0, 1, 2}, soon());
        if (where == 1 && world.rank() == 1) throw NotFinite("a NaN", 3, "b1");
        std::int32_t value = 1;
        if (where == 2 && world.rank() == 1) throw NotFinite("a NaN", 3, "b1");
        group->receive(buffer(std::span(&value, 1)), (world.rank() + 1) % 3, soon());
      });
      ADD_FAILURE() << "no error";
    } catch (const NotFinite& error) {
      EXPECT_EQ(error.step, 3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, WorldOn,
                         testing::Values(Engine::memory, Engine::shm, Engine::tcp),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(World, OptionsNameEveryFault) {
  CommOptions options;
  options.join_seconds = 0;
  options.death_seconds = -1;
  options.interface_address = "eth0";
  EXPECT_EQ(options.problems().size(), 3U);
  EXPECT_THROW(run_ranks(2, options, [](World&) {}), InvalidInput);
  EXPECT_THROW(run_ranks(0, {}, [](World&) {}), InvalidInput);
}

TEST(World, OptionsAreReadFromAJobFile) {
  CommOptions options;
  read_toml(
      "[comm]\nengine = \"tcp\"\nmpi = \"mpich\"\nalgorithm = \"ring\"\ndeath_seconds = 2.5\n",
      "job", {describe(options)});
  EXPECT_EQ(options.engine, Engine::tcp);
  EXPECT_EQ(options.mpi, Mpi::mpich);
  EXPECT_EQ(options.algorithm, Algorithm::ring);
  EXPECT_EQ(options.death_seconds, 2.5);
  EXPECT_TRUE(options.problems().empty());
  EXPECT_THROW(read_toml("[comm]\nengine = \"pigeon\"\n", "job", {describe(options)}),
               InvalidInput);
}

TEST(World, TwoWorkersOfOneRankAreRefused) {
  const auto store = make_memory_store();
  EXPECT_THROW(
      {
        std::jthread first([&] {
          try {
            join_world(store, {.rank = 0, .size = 2}, {}, Deadline::after(milliseconds(100)));
          } catch (const Error&) {
          }
        });
        first.join();
        join_world(store, {.rank = 0, .size = 2}, {}, soon());
      },
      InvalidInput);
}

TEST(World, NamesTheWorkersThatDidNotCome) {
  const auto store = make_memory_store();
  try {
    join_world(store, {.rank = 1, .size = 4}, {}, Deadline::after(milliseconds(80)));
    FAIL();
  } catch (const TimedOut& error) {
    EXPECT_THAT(error.missing, ElementsAre(0, 2, 3));
    EXPECT_THAT(error.what(), HasSubstr("ranks 0, 2 and 3 have not joined the world"));
  }
}

}  // namespace
}  // namespace shoal::test

// What only engines over a region do: a root that runs ahead of its takers, and what is seen late.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "shoal/comm/region.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

class RunningAhead : public testing::TestWithParam<Engine> {
 protected:
  static CommOptions options() {
    CommOptions options;
    options.engine = GetParam();
    return options;
  }
};

std::vector<std::int32_t> values_of(int call, int root, std::size_t elements) {
  return std::vector<std::int32_t>(elements, call * 10 + root);
}

// The takers begin once the root has made as many calls as there is room for.
TEST_P(RunningAhead, TheRootDoesNotWaitWhileThereIsRoom) {
  constexpr int kAhead = static_cast<int>(RankState::kLines) - 1;
  std::atomic<bool> root_is_done{false};
  with_group(3, options(), [&](Group& group) {
    if (group.rank() != 0) {
      while (!root_is_done) std::this_thread::sleep_for(milliseconds(1));
    }
    for (int call = 0; call < kAhead - 1; ++call) {  // the meeting took a line too
      const std::size_t elements = call % 2 == 0 ? 3 : 60;
      auto values =
          group.rank() == 0 ? values_of(call, 0, elements) : std::vector<std::int32_t>(elements);
      group.broadcast(buffer(std::span(values)), 0, soon());
      EXPECT_EQ(values, values_of(call, 0, elements));
    }
    if (group.rank() == 0) root_is_done = true;
    group.barrier(soon());
  });
}

TEST_P(RunningAhead, AnyMixtureOfRootsAndOperationsStaysRight) {
  for (const int size : {2, 3, 5}) {
    with_group(size, options(), [&](Group& group) {
      for (int call = 0; call < 2000; ++call) {
        const std::uint64_t random = mixed(call, 5);
        // Mostly one root for a while, so that it does run ahead.
        const int root = static_cast<int>(mixed(call / 50, 6) % size);
        const std::size_t elements = std::size_t{1} << (random % 12);
        if (random % 64 == 1) {
          auto values = values_of(1, 0, elements);
          const Buffer all = buffer(std::span(values));
          group.all_reduce({&all, 1}, ReduceOp::sum, soon());
          ASSERT_EQ(values.back(), 10 * size);
        } else if (random % 64 == 2) {
          group.barrier(soon());
        } else {
          auto values = group.rank() == root ? values_of(call, root, elements)
                                             : std::vector<std::int32_t>(elements);
          group.broadcast(buffer(std::span(values)), root, soon());
          ASSERT_EQ(values, values_of(call, root, elements)) << call;
        }
      }
    });
  }
}

TEST_P(RunningAhead, ARootThatHasNoRoomWaitsUntilItsDeadline) {
  std::atomic<bool> root_has_failed{false};
  with_group(2, options(), [&](Group& group) {
    if (group.rank() == 1) {
      while (!root_has_failed) std::this_thread::sleep_for(milliseconds(1));
      return;
    }
    std::int32_t value = 1;
    const Buffer one{reinterpret_cast<std::byte*>(&value), 1, ElementType::int32};
    std::string words;
    int calls = 0;
    try {
      for (; calls < 1000; ++calls) group.broadcast(one, 0, Deadline::after(milliseconds(300)));
    } catch (const TimedOut& error) {
      words = error.what();
    }
    EXPECT_LT(calls, static_cast<int>(RankState::kLines));
    EXPECT_THAT(words, AllOf(HasSubstr("rank 1"), HasSubstr("broadcast")));
    root_has_failed = true;
  });
}

TEST_P(RunningAhead, ARootNoticesThatARankIsGoneBeforeItHasToWait) {
  std::atomic<bool> root_has_failed{false};
  with_group(2, options(), [&](Group& group) {
    if (group.rank() == 1) {
      group.abort();
      while (!root_has_failed) std::this_thread::sleep_for(milliseconds(1));
      return;
    }
    std::int32_t value = 1;
    const Buffer one{reinterpret_cast<std::byte*>(&value), 1, ElementType::int32};
    int calls = 0;
    try {
      for (; calls < 30; ++calls) {
        std::this_thread::sleep_for(milliseconds(30));
        group.broadcast(one, 0, soon());
      }
    } catch (const PeerLost& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1 has aborted the group"));
    }
    EXPECT_LT(calls, 20);
    root_has_failed = true;
  });
}

// Both are roots, so neither waits; the calls agree again before anybody looks.
TEST_P(RunningAhead, CallsThatDifferedLongAgoAreNamed) {
  std::atomic<int> failed{0};
  with_group(2, options(), [&](Group& group) {
    std::vector<float> values(7);
    std::string words;
    try {
      for (int call = 0; call < 5; ++call) group.broadcast(buffer(std::span(values)), 0, soon());
      group.barrier(soon());
      group.broadcast(buffer(std::span(values)), group.rank(), soon());  // #7
      group.barrier(soon());
    } catch (const InvalidInput& error) {
      words = error.what();
    }
    EXPECT_THAT(words, AllOf(HasSubstr("calls for operation #7 of group all differ"),
                             HasSubstr("rank 0 called broadcast(7 x float32, root 0)"),
                             HasSubstr("rank 1 called broadcast(7 x float32, root 1)")));
    ++failed;
    while (failed < 2) std::this_thread::sleep_for(milliseconds(1));
  });
}

// No rank ever waits for another, were it not for the room.
TEST_P(RunningAhead, RanksThatAreAllRootsAreTold) {
  std::atomic<int> failed{0};
  with_group(2, options(), [&](Group& group) {
    std::vector<float> values(7);
    std::string words;
    int calls = 0;
    try {
      for (; calls < 200; ++calls) {
        group.broadcast(buffer(std::span(values)), group.rank(), soon());
      }
    } catch (const InvalidInput& error) {
      words = error.what();
    }
    EXPECT_LT(calls, static_cast<int>(RankState::kLines));
    EXPECT_THAT(words, HasSubstr("calls for operation #1 of group all differ"));
    ++failed;
    while (failed < 2) std::this_thread::sleep_for(milliseconds(1));
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, RunningAhead, testing::Values(Engine::memory, Engine::shm),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace shoal::test

// Workers as processes: they meet over the TCP store, and some of them are killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/comm/test_processes.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ProcessWorld : public testing::TestWithParam<Engine> {
 protected:
  pid_t start_rank(int rank, int size, const std::function<int(World&)>& body) {
    return processes_.start([=, this] {
      const Watchdog watchdog("rank " + std::to_string(rank), seconds(60));
      CommOptions options;
      options.engine = GetParam();
      if (options.engine == Engine::hierarchical) options.ranks_per_host = ranks_per_host(size);
      const auto world =
          join_world(store_.connect(), {.rank = rank, .size = size}, options, soon());
      return body(*world);
    });
  }

  // What a survivor returns when the error names exactly `rank`.
  static int named(const PeerLost& error, int rank) {
    if (error.lost == std::vector<int>{rank}) return 42;
    std::fprintf(stderr, "named the wrong rank: %s\n", error.what());
    return 1;
  }

  // The last of four ranks that have met is struck by `signal`; `wait` is what the others do, and
  // gives 42 when they are told rightly.
  void strike_the_last(int signal, const std::function<int(Group&)>& wait) {
    const Pipe started;
    std::vector<pid_t> ranks;
    for (int rank = 0; rank < 4; ++rank) {
      ranks.push_back(start_rank(rank, 4, [&](World& world) {
        const auto group = world.form_group("all", {0, 1, 2, 3}, soon());
        group->barrier(soon());
        started.put(0);
        if (world.rank() == 3) pause();
        return wait(*group);
      }));
    }
    for (int rank = 0; rank < 4; ++rank) started.take();
    kill(ranks[3], signal);
    for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(processes_.end_of(ranks[rank]), 42) << rank;
  }

  Processes processes_;
  const StoreProcess store_{processes_};
};

// Of three.
int local_size_here(Engine engine, int rank) {
  if (engine != Engine::hierarchical) return 3;
  return rank < 2 ? 2 : 1;
}

std::string engine_here(Engine engine) {
  return engine == Engine::automatic ? "shm" : std::string(name_of(engine));
}

TEST_P(ProcessWorld, SumsAcrossProcesses) {
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(start_rank(rank, 3, [](World& world) {
      const auto group = world.form_group("all", {0, 1, 2}, soon());
      if (group->engine() != engine_here(GetParam()) ||
          world.local_size() != local_size_here(GetParam(), world.rank())) {
        return 2;
      }
      for (const std::size_t elements : {std::size_t{1}, std::size_t{1000}, std::size_t{400001}}) {
        std::vector<float> values(elements, static_cast<float>(world.rank() + 1));
        const Buffer all = buffer(std::span(values));
        group->all_reduce({&all, 1}, ReduceOp::sum, soon());
        for (const float value : values) {
          if (value != 6) return 1;
        }
      }
      return 0;
    }));
  }
  for (const pid_t rank : ranks) EXPECT_EQ(processes_.end_of(rank), 0);
}

TEST_P(ProcessWorld, HandLargePiecesToEachOther) {
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(start_rank(rank, 3, [](World& world) {
      const auto group = world.form_group("all", {0, 1, 2}, soon());
      const int me = world.rank();
      const auto value = [](int giver, int taker, std::size_t i) {
        return static_cast<float>(giver * 10 + taker) + static_cast<float>(i % 1000) / 1024;
      };
      constexpr std::size_t kElements = 150000;
      std::vector<std::vector<float>> given(3, std::vector<float>(kElements)), taken = given;
      std::vector<ConstBuffer> in;
      std::vector<Buffer> out;
      for (int peer = 0; peer < 3; ++peer) {
        for (std::size_t i = 0; i < kElements; ++i) given[peer][i] = value(me, peer, i);
        in.emplace_back(buffer(std::span(given[peer])));
        out.push_back(buffer(std::span(taken[peer])));
      }
      group->all_to_all(in, out, soon());
      std::vector<float> gathered(3 * kElements);
      group->all_gather(in[1], buffer(std::span(gathered)), soon());
      for (auto& values : given) std::fill(values.begin(), values.end(), -1.0F);
      for (int peer = 0; peer < 3; ++peer) {
        for (std::size_t i = 0; i < kElements; ++i) {
          if (taken[peer][i] != value(peer, me, i)) return 1;
          if (gathered[peer * kElements + i] != value(peer, 1, i)) return 2;
        }
      }
      return 0;
    }));
  }
  for (const pid_t rank : ranks) EXPECT_EQ(processes_.end_of(rank), 0);
}

TEST_P(ProcessWorld, SurvivorsNameARankThatWasKilledInACollective) {
  const Pipe started;
  const auto reduce_for_ever = [&](World& world) {
    const auto group = world.form_group("all", {0, 1, 2}, soon());
    std::vector<float> values(200000, 1.0F);
    const Buffer all = buffer(std::span(values));
    try {
      for (int call = 0;; ++call) {
        group->all_reduce({&all, 1}, ReduceOp::max, soon());
        if (call == 20) started.put(world.rank());
      }
    } catch (const PeerLost& error) {
      return named(error, 1);
    }
  };
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 3; ++rank) ranks.push_back(start_rank(rank, 3, reduce_for_ever));
  for (int rank = 0; rank < 3; ++rank) started.take();
  const auto killed = std::chrono::steady_clock::now();
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(processes_.end_of(ranks[0]), 42);
  EXPECT_EQ(processes_.end_of(ranks[2]), 42);
  // Within a second where the machine is ours; tests may share it.
  EXPECT_LT(std::chrono::steady_clock::now() - killed, seconds(10));
  EXPECT_EQ(processes_.end_of(ranks[1]), -SIGKILL);
}

// The survivors wait for each other, too: none may be blamed for leaving first.
TEST_P(ProcessWorld, SurvivorsWaitingInAChainNameTheDeadRank) {
  strike_the_last(SIGKILL, [](Group& group) {
    std::int32_t value = 0;
    try {
      group.receive(buffer(std::span(&value, 1)), group.rank() + 1, soon());
    } catch (const PeerLost& error) {
      return named(error, 3);
    }
    return 1;
  });
}

// A rank that is silent is not told from one that waits by those who wait for it in turn.
TEST_P(ProcessWorld, SurvivorsWaitingInAChainNameTheRankThatStopped) {
  strike_the_last(SIGSTOP, [](Group& group) {
    std::int32_t value = 0;
    const Deadline deadline = Deadline::after(seconds(2));
    try {
      // Some wait for a message, one in an operation of all.
      if (group.rank() == 1) group.barrier(deadline);
      group.receive(buffer(std::span(&value, 1)), group.rank() + 1, deadline);
    } catch (const TimedOut& error) {
      if (error.missing == std::vector<int>{3}) return 42;
      std::fprintf(stderr, "rank %d names wrongly: %s\n", group.rank(), error.what());
    }
    return 1;
  });
}

TEST_P(ProcessWorld, ADeathIsNoticedWhileAGroupIsFormed) {
  const Pipe joined;
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.push_back(start_rank(rank, 2, [&](World& world) {
      joined.put(0);
      if (world.rank() == 1) {
        pause();
        return 0;
      }
      try {
        world.form_group("all", {0, 1}, soon());
      } catch (const PeerLost& error) {
        return named(error, 1);
      }
      return 1;
    }));
  }
  joined.take();
  joined.take();
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(processes_.end_of(ranks[0]), 42);
}

// A process that ends after its part is done is not taken for dead while the others go on.
TEST_P(ProcessWorld, ARankMayEndWhileOthersStillExchange) {
  const Pipe ended;
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(start_rank(rank, 3, [&](World& world) {
      const auto group = world.form_group("all", {0, 1, 2}, soon());
      group->barrier(soon());
      std::int32_t value = world.rank();
      const Buffer one = buffer(std::span(&value, 1));
      if (world.rank() == 0) {
        group->receive(one, 1, soon());
        return value == 1 ? 0 : 1;
      }
      if (world.rank() == 1) {
        ended.take();
        // Longer than the others' look around takes.
        std::this_thread::sleep_for(milliseconds(600));
        group->send(one, 0, soon());
      }
      return 0;
    }));
  }
  EXPECT_EQ(processes_.end_of(ranks[2]), 0);
  ended.put(0);
  EXPECT_EQ(processes_.end_of(ranks[1]), 0);
  EXPECT_EQ(processes_.end_of(ranks[0]), 0);
}

TEST_P(ProcessWorld, NothingStaysOpenOrBehind) {
  const std::vector<std::string> before = files_in("/dev/shm");
  std::vector<pid_t> ranks;
  for (int i = 0; i < 2; ++i) {
    ranks.push_back(start_rank(i, 2, [](World& world) {
      world.form_group("warm up", {0, 1}, soon())->barrier(soon());
      const std::size_t open = files_in("/proc/self/fd").size();
      for (int k = 0; k < 5; ++k) {
        world.form_group("g" + std::to_string(k), {0, 1}, soon())->barrier(soon());
      }
      return files_in("/proc/self/fd").size() == open ? 0 : 1;
    }));
  }
  for (const pid_t process : ranks) EXPECT_EQ(processes_.end_of(process), 0);
  EXPECT_EQ(files_in("/dev/shm"), before);
}

INSTANTIATE_TEST_SUITE_P(Engines, ProcessWorld,
                         testing::Values(Engine::automatic, Engine::tcp, Engine::hierarchical),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace shoal::test

#include "shoal/comm/async_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
using test::soon;
using testing::ElementsAre;
using testing::HasSubstr;

class AsyncGroupTest : public testing::TestWithParam<Engine> {
 protected:
  static void with_async(int size, const std::function<void(AsyncGroup&)>& body) {
    const test::Watchdog watchdog("a world of " + std::to_string(size));
    const CommOptions options = test::options_of(GetParam(), Algorithm::automatic, size);
    run_ranks(size, options, [&](World& world) {
      AsyncGroup group(world.form_group("all", all_ranks(size), soon()));
      body(group);
    });
  }

  static Handle start_sum(AsyncGroup& group, std::vector<float>& data) {
    const auto call = [&data](Group& g, Deadline deadline) {
      const Buffer part = buffer(std::span<float>(data));
      g.all_reduce({&part, 1}, ReduceOp::sum, deadline);
    };
    return group.start("all_reduce", call, soon());
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, AsyncGroupTest,
                         testing::Values(Engine::memory, Engine::shm, Engine::tcp,
                                         Engine::hierarchical, Engine::mpi),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(AsyncGroupTest, CollectivesKeepTheirOrder) {
  with_async(3, [](AsyncGroup& group) {
    std::vector<std::vector<float>> data;
    for (int call = 0; call < 20; ++call) data.emplace_back(100, float(group.rank() + call));
    std::vector<Handle> handles;
    for (auto& values : data) handles.push_back(start_sum(group, values));
    // Waiting for the last one first does not change the order.
    handles.back().wait(soon());
    for (int call = 0; call < 20; ++call) {
      EXPECT_TRUE(handles[call].over());
      EXPECT_EQ(handles[call].state(), Handle::State::done);
      EXPECT_EQ(data[call].front(), float(3 + 3 * call));
    }
  });
}

TEST_P(AsyncGroupTest, GoesOnWithoutAWait) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<float> data(10, 1.0F);
    const Handle handle = start_sum(group, data);
    std::atomic<int> calls{0};
    handle.then([&] { ++calls; });
    while (!handle.over()) std::this_thread::yield();
    EXPECT_EQ(calls, 1);
    handle.then([&] { ++calls; });
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(data.back(), 2.0F);
    handle.wait();
  });
}

TEST_P(AsyncGroupTest, WhoWaitsHearsAfterThoseWhoAskedToBeCalled) {
  with_async(2, [](AsyncGroup& group) {
    // So the other rank's operation is still under way when it asks.
    if (group.rank() == 1) std::this_thread::sleep_for(milliseconds(20));
    std::vector<float> data(10, 1.0F);
    const Handle handle = start_sum(group, data);
    std::atomic<bool> called{false};
    handle.then([&] {
      std::this_thread::sleep_for(milliseconds(20));
      called = true;
    });
    // Not patient enough to carry the operation out, so the group's thread does.
    handle.wait(Deadline::after(std::chrono::seconds(60)));
    EXPECT_TRUE(called);
  });
}

TEST_P(AsyncGroupTest, AsynchronousAndBlockingCallsMix) {
  with_async(3, [](AsyncGroup& group) {
    for (int round = 0; round < 30; ++round) {
      std::vector<float> first(5, 1.0F);
      std::vector<float> second(5, 2.0F);
      const Handle handle = start_sum(group, first);
      group.run(
          [&](Group& g, Deadline deadline) {
            const Buffer part = buffer(std::span<float>(second));
            g.all_reduce({&part, 1}, ReduceOp::sum, deadline);
          },
          soon());
      EXPECT_TRUE(handle.over());
      EXPECT_EQ(first[0], 3.0F);
      EXPECT_EQ(second[0], 6.0F);
    }
  });
}

TEST_P(AsyncGroupTest, ACoalescedListIsOneOperation) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<std::int64_t> mine(3, group.rank() + 1);
    std::vector<std::int64_t> all(6);
    std::vector<std::int64_t> sums(4, 10);
    const Handle handle = group.start(
        "list",
        [&](Group& g, Deadline deadline) {
          const Buffer part = buffer(std::span<std::int64_t>(sums));
          g.all_gather(buffer(std::span<const std::int64_t>(mine)),
                       buffer(std::span<std::int64_t>(all)), deadline);
          g.all_reduce({&part, 1}, ReduceOp::max, deadline);
        },
        soon());
    handle.wait(soon());
    EXPECT_THAT(all, ElementsAre(1, 1, 1, 2, 2, 2));
  });
}

TEST_P(AsyncGroupTest, AFailureIsThrownByWaitAndKept) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<float> data(group.rank() == 0 ? 4 : 5, 1.0F);
    const Handle handle = start_sum(group, data);
    EXPECT_THROW(handle.wait(soon()), InvalidInput);
    EXPECT_EQ(handle.state(), Handle::State::failed);
    EXPECT_TRUE(handle.error() != nullptr);
    EXPECT_THROW(handle.wait(soon()), InvalidInput);
  });
}

TEST_P(AsyncGroupTest, AnImpatientWaitLeavesTheOperationGoing) {
  std::atomic<bool> tried{false};
  with_async(2, [&](AsyncGroup& group) {
    std::vector<float> data(4, 1.0F);
    if (group.rank() == 1) {
      while (!tried) std::this_thread::sleep_for(milliseconds(1));
    }
    const Handle handle = start_sum(group, data);
    if (group.rank() == 0) {
      EXPECT_THROW(handle.wait(Deadline::after(milliseconds(5))), TimedOut);
      tried = true;
    }
    handle.wait(soon());
    EXPECT_EQ(data[0], 2.0F);
  });
}

TEST_P(AsyncGroupTest, AbortEndsWhatWaits) {
  with_async(2, [](AsyncGroup& group) {
    if (group.rank() == 1) return;
    std::vector<float> data(4);
    const Handle message = group.receive(buffer(std::span<float>(data)), 1, 0, soon());
    group.abort();
    EXPECT_ANY_THROW(message.wait(soon()));
  });
}

TEST_P(AsyncGroupTest, DestroyedWithWorkLeft) {
  with_async(2, [](AsyncGroup& group) {
    if (group.rank() == 1) return;
    static thread_local std::vector<float> data(4);
    // Nobody sends, nobody joins: the destructor must not wait for it.
    group.receive(buffer(std::span<float>(data)), 1, 7, soon());
    group.receive(buffer(std::span<float>(data)), kAnySource, 8, soon());
  });
}

TEST_P(AsyncGroupTest, MessagesFindTheirTags) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<std::vector<std::int32_t>> data(6, std::vector<std::int32_t>(50));
    std::vector<Handle> handles;
    if (group.rank() == 0) {
      for (int tag = 0; tag < 6; ++tag) {
        std::fill(data[tag].begin(), data[tag].end(), tag);
        const ConstBuffer out = buffer(std::span<std::int32_t>(data[tag]));
        handles.push_back(group.send(out, 1, tag, soon()));
      }
    } else {
      for (const int tag : {3, 5, 0, 1, 4, 2}) {
        const Buffer in = buffer(std::span<std::int32_t>(data[tag]));
        handles.push_back(group.receive(in, 0, tag, soon()));
      }
    }
    for (const Handle& handle : handles) handle.wait(soon());
    for (int tag = 0; tag < 6; ++tag) EXPECT_EQ(data[tag].back(), tag);
    EXPECT_EQ(handles[0].source(), group.rank() == 1 ? 0 : -1);
  });
}

TEST_P(AsyncGroupTest, MessagesOfOneTagKeepTheirOrder) {
  with_async(2, [](AsyncGroup& group) {
    for (int round = 0; round < 50; ++round) {
      std::vector<std::int32_t> data(3);
      std::iota(data.begin(), data.end(), round * 10);
      if (group.rank() == 0) {
        group.send(buffer(std::span<std::int32_t>(data)), 1, 9, soon()).wait();
      } else {
        std::vector<std::int32_t> in(3);
        group.receive(buffer(std::span<std::int32_t>(in)), 0, 9, soon()).wait();
        EXPECT_EQ(in, data);
      }
    }
  });
}

// Each rank sends to and receives from everybody before it waits for anything, with messages that
// do not fit into any buffer on the way.
TEST_P(AsyncGroupTest, EverybodySendsAtOnce) {
  with_async(4, [](AsyncGroup& group) {
    constexpr std::size_t kElements = 700'000;
    std::vector<std::vector<float>> out(4, std::vector<float>(kElements, float(group.rank())));
    std::vector<std::vector<float>> in(4, std::vector<float>(kElements, -1.0F));
    std::vector<Handle> handles;
    for (int peer = 0; peer < 4; ++peer) {
      if (peer == group.rank()) continue;
      handles.push_back(group.send(buffer(std::span<float>(out[peer])), peer, 1, soon()));
    }
    for (int peer = 3; peer >= 0; --peer) {
      if (peer == group.rank()) continue;
      handles.push_back(group.receive(buffer(std::span<float>(in[peer])), peer, 1, soon()));
    }
    for (const Handle& handle : handles) handle.wait(soon());
    for (int peer = 0; peer < 4; ++peer) {
      EXPECT_EQ(in[peer].back(), peer == group.rank() ? -1.0F : float(peer));
    }
  });
}

TEST_P(AsyncGroupTest, ReceivesFromAnybody) {
  with_async(4, [](AsyncGroup& group) {
    if (group.rank() != 0) {
      std::vector<std::int64_t> mine(2, group.rank());
      for (int round = 0; round < 5; ++round) {
        group.send(buffer(std::span<std::int64_t>(mine)), 0, 4, soon()).wait();
      }
      std::vector<std::int64_t> last(1, 100 + group.rank());
      group.send(buffer(std::span<std::int64_t>(last)), 0, 5, soon()).wait();
      return;
    }
    std::vector<int> from(4);
    for (int round = 0; round < 15; ++round) {
      std::vector<std::int64_t> in(2);
      const auto data = buffer(std::span<std::int64_t>(in));
      const Handle handle = group.receive(data, kAnySource, 4, soon());
      handle.wait(soon());
      EXPECT_EQ(in[1], handle.source());
      ++from[handle.source()];
    }
    EXPECT_THAT(from, ElementsAre(0, 5, 5, 5));
    for (int peer = 3; peer > 0; --peer) {
      std::vector<std::int64_t> last(1);
      group.receive(buffer(std::span<std::int64_t>(last)), peer, 5, soon()).wait();
      EXPECT_EQ(last[0], 100 + peer);
    }
  });
}

TEST_P(AsyncGroupTest, AnEmptyMessageArrives) {
  with_async(2, [](AsyncGroup& group) {
    const Buffer nothing{nullptr, 0, ElementType::float32};
    if (group.rank() == 0) {
      group.send(nothing, 1, 0, soon()).wait();
    } else {
      const Handle handle = group.receive(nothing, kAnySource, 0, soon());
      handle.wait(soon());
      EXPECT_EQ(handle.source(), 0);
    }
  });
}

TEST_P(AsyncGroupTest, ASizeThatWasNotSentIsNamed) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<float> data(group.rank() == 0 ? 4 : 6);
    const Buffer values = buffer(std::span<float>(data));
    if (group.rank() == 0) {
      group.send(values, 1, 3, soon()).wait();
      return;
    }
    try {
      group.receive(values, 0, 3, soon()).wait();
      ADD_FAILURE() << "not refused";
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("with tag 3: rank 0 sent 4 x float32, but 6 x float32"));
    }
  });
}

TEST_P(AsyncGroupTest, AReceiveOfNothingTimesOutAndNamesTheSender) {
  with_async(3, [](AsyncGroup& group) {
    if (group.rank() != 0) return;
    std::vector<float> data(1);
    const auto in = buffer(std::span<float>(data));
    const Handle any = group.receive(in, kAnySource, 0, Deadline::after(milliseconds(30)));
    EXPECT_THROW(any.wait(), TimedOut);
    try {
      group.receive(in, 2, 0, Deadline::after(milliseconds(30))).wait();
      ADD_FAILURE() << "did not time out";
    } catch (const TimedOut& error) {
      EXPECT_THAT(error.missing, ElementsAre(2));
    } catch (const PeerLost& error) {  // it may have left already
      EXPECT_THAT(error.lost, ElementsAre(2));
    }
  });
}

TEST_P(AsyncGroupTest, NobodyIsNotAPeer) {
  with_async(2, [](AsyncGroup& group) {
    std::vector<float> data(1);
    const auto values = buffer(std::span<float>(data));
    EXPECT_THROW(group.send(values, 2, 0, soon()), InvalidInput);
    EXPECT_THROW(group.send(values, group.rank(), 0, soon()), InvalidInput);
    EXPECT_THROW(group.receive(values, -2, 0, soon()), InvalidInput);
  });
}

}  // namespace
}  // namespace shoal

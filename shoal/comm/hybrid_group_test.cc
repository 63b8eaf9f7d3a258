// Two channels at once: the right sums, in the time that the split promises, and errors that name.
//
// SHOAL_RATED_REPETITIONS=5 times them over links of known rates and prints what came out.
#include "shoal/comm/hybrid_group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/faulty_network.h"
#include "shoal/comm/schedule_time.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using testing::HasSubstr;

TEST(ChannelShares, LetBothEndTogether) {
  // R = 2.5: 1/3.5 goes over the slow one.
  EXPECT_NEAR(share_of_first({0, 2.5}, {0, 1}, 1e6), 2.5 / 3.5, 1e-12);
  EXPECT_NEAR(share_of_first({0, 1}, {0, 2.5}, 1e6), 1 / 3.5, 1e-12);
  for (const double bytes : {1e4, 1e6, 1e9}) {
    const ChannelCost slow{2e-4, 1e8};
    const ChannelCost fast{5e-5, 7e8};
    const double share = share_of_first(slow, fast, bytes);
    const double ends[] = {slow.fixed_seconds + share * bytes / slow.bytes_per_second,
                           fast.fixed_seconds + (1 - share) * bytes / fast.bytes_per_second};
    if (share > 0) {
      EXPECT_NEAR(ends[0], ends[1], 1e-9 * ends[0] + 1e-15);
    }
  }
  // What ends sooner than the other begins takes all.
  EXPECT_EQ(share_of_first({1, 1e9}, {0, 1e6}, 1000), 0);
  EXPECT_EQ(share_of_first({0, 1e6}, {1, 1e9}, 1000), 1);
  EXPECT_EQ(share_of_first({0, 1}, {0, 1}, 0), 1);
}

// Runs `body` on every rank with a group over two memory channels.
void with_hybrid(int size, Algorithm algorithm, const std::function<void(HybridGroup&)>& body) {
  const Watchdog watchdog("a hybrid group");
  CommOptions options;
  options.algorithm = algorithm;
  run_ranks(size, options, [&](World& world) {
    HybridGroup group(world.form_group("first", all_ranks(size), soon()),
                      world.form_group("second", all_ranks(size), soon()), nullptr);
    body(group);
  });
}

TEST(HybridGroups, SumWhereverTheVectorIsSplit) {
  for (const Algorithm algorithm : {Algorithm::two_shot, Algorithm::ring}) {
    with_hybrid(3, algorithm, [&](HybridGroup& group) {
      for (const double rate : {1e-9, 0.3, 1.0, 4.0, 1e9}) {
        group.set_costs({0, rate}, {0, 1});
        for (const std::size_t elements : {0U, 1U, 15U, 16U, 33U, 1000U, 70001U}) {
          std::vector<std::int32_t> values(elements);
          for (std::size_t i = 0; i < elements; ++i) {
            values[i] = static_cast<std::int32_t>(i) * (group.rank() + 1);
          }
          // Two parts, so that the split falls into either.
          const std::size_t cut = elements / 3;
          const std::vector<Buffer> parts{buffer(std::span(values).first(cut)),
                                          buffer(std::span(values).subspan(cut))};
          group.all_reduce(parts, ReduceOp::sum, soon());
          for (std::size_t i = 0; i < elements; ++i) {
            ASSERT_EQ(values[i], 6 * static_cast<std::int32_t>(i)) << elements << " at " << i;
          }
        }
      }
    });
  }
}

TEST(HybridGroups, AMistakeOfTheCallerHarmsNobody) {
  with_hybrid(2, Algorithm::two_shot, [](HybridGroup& group) {
    std::vector<std::int32_t> values(1000, 1);
    const Buffer all = buffer(std::span(values));
    EXPECT_THROW(group.all_reduce({&all, 1}, ReduceOp::mean, soon()), InvalidInput);
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    EXPECT_THAT(values, testing::Each(2));
  });
}

TEST(HybridGroups, HandEverythingElseToTheFirstChannel) {
  with_hybrid(3, Algorithm::two_shot, [](HybridGroup& group) {
    const int rank = group.rank();
    EXPECT_EQ(group.engine(), "hybrid");
    std::vector<std::int32_t> one{rank};
    std::vector<std::int32_t> all(3);
    group.all_gather(ConstBuffer(buffer(std::span(one))), buffer(std::span(all)), soon());
    EXPECT_EQ(all, (std::vector<std::int32_t>{0, 1, 2}));
    group.reduce_scatter(ConstBuffer(buffer(std::span(all))), buffer(std::span(one)), ReduceOp::sum,
                         soon());
    EXPECT_EQ(one[0], 3 * rank);
    group.broadcast(buffer(std::span(one)), 2, soon());
    EXPECT_EQ(one[0], 6);
    const ConstBuffer in(buffer(std::span(one)));
    std::vector<Buffer> places;
    for (auto& place : all) places.push_back(buffer(std::span(&place, 1)));
    group.gather(in, places, 0, soon());
    if (rank == 0) {
      EXPECT_EQ(all, (std::vector<std::int32_t>{6, 6, 6}));
    }
    if (rank == 0) group.send(in, 1, soon());
    if (rank == 1) group.receive(buffer(std::span(one)), 0, soon());
    group.barrier(soon());
    EXPECT_GT(group.bytes_sent(), 0U);
    EXPECT_NE(group.allocate(100), nullptr);
  });
}

TEST(HybridGroups, MeasureAlikeOnAllRanks) {
  std::vector<std::array<ChannelCost, 2>> found(3);
  with_hybrid(3, Algorithm::two_shot, [&](HybridGroup& group) {
    group.measure(soon());
    found[group.rank()] = group.costs();
  });
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
  EXPECT_GT(found[0][0].bytes_per_second, 0);
}

TEST(HybridGroups, NameThoseWhoCallSomethingElseOrLeave) {
  std::vector<std::string> said(3);
  std::vector<std::string> again(3);
  with_hybrid(3, Algorithm::two_shot, [&](HybridGroup& group) {
    std::vector<float> values(group.rank() == 1 ? 5000 : 6000);
    const Buffer all = buffer(std::span(values));
    const auto call = [&](std::string& words) {
      try {
        group.all_reduce({&all, 1}, ReduceOp::sum, soon());
      } catch (const Error& error) {
        words = error.what();
      }
    };
    call(said[group.rank()]);
    call(again[group.rank()]);
  });
  EXPECT_THAT(said, testing::Each(HasSubstr("rank 1 called all_reduce(sum, 2")));
  EXPECT_EQ(said, again);
  std::vector<std::string> lost(3);
  with_hybrid(3, Algorithm::two_shot, [&](HybridGroup& group) {
    if (group.rank() == 2) return;
    std::vector<float> values(60000);
    const Buffer all = buffer(std::span(values));
    try {
      group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    } catch (const PeerLost& error) {
      lost[group.rank()] = error.what();
    }
  });
  EXPECT_THAT(lost[0], HasSubstr("rank 2"));
  EXPECT_THAT(lost[1], HasSubstr("rank 2"));
}

// As a job forms it: two addresses of this host stand for two networks.
TEST(HybridGroups, FormOverTwoAddresses) {
  const Watchdog watchdog("two networks");
  const auto form = [](int size, const std::function<std::string(int)>& second) {
    const auto store = make_memory_store();
    return words_of_ranks(size, [&](int rank) {
      CommOptions options;
      options.engine = Engine::tcp;
      options.interface_address = "127.0.0.1";
      options.second_interface_address = second(rank);
      const auto world = join_world(store, {rank, size}, options, soon());
      const auto group = world->form_group("all", all_ranks(size), soon());
      std::vector<float> values(100003, 1.0F);
      const Buffer all = buffer(std::span(values));
      group->all_reduce({&all, 1}, ReduceOp::sum, soon());
      EXPECT_THAT(values, testing::Each(static_cast<float>(size)));
      group->barrier(soon());
      return std::string(group->engine());
    });
  };
  EXPECT_THAT(form(3, [](int) { return "127.0.0.2"; }), testing::Each("hybrid"));
  EXPECT_THAT(form(2, [](int rank) { return rank == 0 ? "127.0.0.2" : ""; }),
              testing::Contains(HasSubstr("only one of them a comm.second_interface_address")));
  EXPECT_THAT(form(1, [](int) { return "next door"; }),
              testing::Each(HasSubstr("comm.second_interface_address is \"next door\"")));
}

// Two networks of four ranks: 20 MB/s a link, and 8.
TEST(HybridGroups, BothChannelsEndTogether) {
  const std::uint64_t repetitions = number_from("SHOAL_RATED_REPETITIONS", 0);
  const Watchdog watchdog("rated channels", std::chrono::seconds(110));
  constexpr int kSize = 4;
  const std::size_t elements = repetitions == 0 ? 40000 : std::size_t{1} << 21;
  const std::array<Topology, 2> links{Topology::clique(kSize, {20e6, 0}),
                                      Topology::clique(kSize, {8e6, 0})};
  FaultyNetwork fast(links[0]);
  FaultyNetwork slow(links[1]);
  const std::array<std::shared_ptr<Store>, 2> stores{store_through(fast), store_through(slow)};
  const std::vector<std::byte> right = serial_sum(schedule_of(Algorithm::two_shot, kSize),
                                                  ElementType::int32, ReduceOp::sum, elements);
  std::vector<std::array<double, 2>> ends;  // of rank 0, by call
  std::array<ChannelCost, 2> costs;
  {
    std::vector<std::jthread> ranks;
    for (int rank = 0; rank < kSize; ++rank) {
      ranks.emplace_back([&, rank] {
        CommOptions options;
        options.engine = Engine::tcp;
        options.algorithm = Algorithm::two_shot;
        std::array<std::unique_ptr<World>, 2> worlds;
        std::array<std::unique_ptr<Group>, 2> channels;
        for (int channel = 0; channel < 2; ++channel) {
          worlds[channel] = join_world(stores[channel], {rank, kSize}, options, soon());
          channels[channel] = worlds[channel]->form_group("all", all_ranks(kSize), soon());
        }
        HybridGroup group(std::move(channels[0]), std::move(channels[1]), nullptr);
        group.measure(soon());
        for (std::uint64_t call = 0; call < std::max<std::uint64_t>(1, repetitions); ++call) {
          std::vector<std::byte> values = sample_input(ElementType::int32, elements, rank);
          const Buffer all{values.data(), elements, ElementType::int32};
          group.barrier(soon());
          group.all_reduce({&all, 1}, ReduceOp::sum, soon());
          EXPECT_TRUE(values == right);
          if (rank == 0) ends.push_back(group.last_seconds());
        }
        group.barrier(soon());
        if (rank == 0) costs = group.costs();
      });
    }
  }
  if (repetitions == 0) return;
  const double bytes = static_cast<double>(elements) * 4;
  const double share = share_of_first(costs[0], costs[1], bytes);
  const auto expected = [&](const Topology& topology, double part) {
    return time_schedule(schedule_of(Algorithm::two_shot, kSize), topology,
                         static_cast<std::int64_t>(part * static_cast<double>(elements)), 4)
        .seconds;
  };
  fmt::print("hybrid: {:.3f} of the vector over the fast channel, R/(1+R) = {:.3f}\n", share,
             2.5 / 3.5);
  fmt::print("hybrid foretold: {:.1f} ms fast, {:.1f} ms slow; the fast one alone {:.1f} ms\n",
             1e3 * expected(links[0], share), 1e3 * expected(links[1], 1 - share),
             1e3 * expected(links[0], 1));
  for (const auto& [first, second] : ends) {
    fmt::print("hybrid measured: {:.1f} ms fast, {:.1f} ms slow\n", 1e3 * first, 1e3 * second);
  }
}

}  // namespace
}  // namespace shoal::test

// Groups over several hosts: schedules that go between hosts once, and an engine that shares memory
// inside them. Ranks of one process count as several hosts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

using testing::Each;
using testing::HasSubstr;
using Effect = Transfer::Effect;

std::int64_t between_hosts(const Schedule& schedule, const NetworkLayout& layout,
                           std::int64_t elements) {
  const ScheduleCounts counts = count(schedule, elements);
  std::int64_t sum = 0;
  for (int from = 0; from < schedule.size; ++from) {
    for (int to = 0; to < schedule.size; ++to) {
      if (layout.leaves_host(from, to)) sum += counts.link[from][to];
    }
  }
  return sum;
}

// Alike, unlike, scattered, alone.
std::vector<std::vector<int>> some_hosts() {
  return {{0},
          {0, 0, 1, 1},
          {0, 1, 0, 1},
          {0, 0, 0, 1},
          {0, 1, 1, 1, 2},
          {5, 3, 5, 3, 3, 9, 5},
          {0, 1, 2, 3},
          {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2},
          {0, 0, 0, 1, 1, 2, 2, 2, 2, 2}};
}

TEST(HierarchicalSchedules, AreAllReducesOnAnyHosts) {
  for (const std::vector<int>& hosts : some_hosts()) {
    const Schedule schedule = hierarchical_schedule(static_cast<int>(hosts.size()), hosts);
    EXPECT_EQ(problem_of(schedule), "") << fmt::format("{}", fmt::join(hosts, " "));
    EXPECT_LE(schedule.steps(), 4);
  }
  for (const int each : {1, 2, 3, 4, 8}) {
    std::vector<int> hosts;
    for (int rank = 0; rank < 24; ++rank) hosts.push_back(rank / each);
    EXPECT_EQ(problem_of(hierarchical_schedule(24, hosts)), "") << each;
  }
}

// What is whole somewhere is carried from rank to rank; in the end every rank has everything.
bool reaches_everybody(const Schedule& schedule, const std::vector<std::vector<bool>>& at_first) {
  std::vector<std::vector<bool>> has = at_first;  // rank, chunk
  int step = 0;
  std::vector<std::vector<bool>> next = has;
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step) has = next;
    step = transfer.step;
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      if (!has[transfer.from][chunk] || transfer.effect != Effect::replace) return false;
      next[transfer.to][chunk] = true;
    }
  }
  for (const std::vector<bool>& chunks : next) {
    if (std::find(chunks.begin(), chunks.end(), false) != chunks.end()) return false;
  }
  return true;
}

TEST(HierarchicalSchedules, HandOutEverythingAndEnterAHostOnce) {
  for (const std::vector<int>& hosts : some_hosts()) {
    const int size = static_cast<int>(hosts.size());
    SCOPED_TRACE(fmt::format("{}", fmt::join(hosts, " ")));
    const NetworkLayout layout{nullptr, hosts};
    const std::set<int> different(hosts.begin(), hosts.end());
    const auto others = static_cast<std::int64_t>(different.size()) - 1;
    const Schedule gather = hierarchical_all_gather(size, hosts);
    std::vector<std::vector<bool>> own(size, std::vector<bool>(size));
    for (int rank = 0; rank < size; ++rank) own[rank][rank] = true;
    EXPECT_TRUE(reaches_everybody(gather, own));
    const std::int64_t elements = 840L * size;
    EXPECT_EQ(between_hosts(gather, layout, elements), others * elements);
    for (int root = 0; root < size; ++root) {
      const Schedule schedule = hierarchical_broadcast(size, hosts, root);
      std::vector<std::vector<bool>> of_root(size, std::vector<bool>(schedule.chunks));
      of_root[root].assign(schedule.chunks, true);
      EXPECT_TRUE(reaches_everybody(schedule, of_root)) << root;
      EXPECT_EQ(between_hosts(schedule, layout, elements), others * elements);
    }
  }
}

TEST(HierarchicalSchedules, SendLessBetweenHostsThanARing) {
  const NetworkLayout two_by_two{nullptr, {0, 0, 1, 1}};
  const std::int64_t ring = between_hosts(ring_schedule(4), two_by_two, 1200);
  EXPECT_EQ(ring, 3 * 1200);
  EXPECT_EQ(between_hosts(hierarchical_schedule(4, two_by_two.hosts), two_by_two, 1200), 2 * 1200);
  const NetworkLayout three_by_four = {nullptr, {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}};
  // 2 (H-1) vectors: each host gives what it has summed, and gets the sums of the others.
  EXPECT_EQ(between_hosts(hierarchical_schedule(12, three_by_four.hosts), three_by_four, 1200),
            4 * 1200);
  EXPECT_EQ(
      between_hosts(hierarchical_reduce_scatter(12, three_by_four.hosts), three_by_four, 1200),
      2 * 1200);
}

struct Sent {
  std::uint64_t all = 0;
  std::uint64_t between = 0;
};

// What all ranks send during `call`.
Sent sent_by(Algorithm algorithm, int size, const std::function<void(Group&)>& call) {
  std::atomic<std::uint64_t> all{0};
  std::atomic<std::uint64_t> between{0};
  with_group(size, options_of(Engine::hierarchical, algorithm, size), [&](Group& group) {
    const std::uint64_t all_before = group.bytes_sent();
    const std::uint64_t between_before = group.bytes_between_hosts();
    call(group);
    all += group.bytes_sent() - all_before;
    between += group.bytes_between_hosts() - between_before;
  });
  return {all, between};
}

// SHOAL_SHOW_HOSTS=1 prints the counts.
TEST(HierarchicalGroups, CountWhatGoesBetweenHosts) {
  const bool show = number_from("SHOAL_SHOW_HOSTS", 0) != 0;
  constexpr std::size_t kElements = 100003;
  const auto all_reduce = [](Group& group) {
    std::vector<float> values(kElements, 1.0F);
    const Buffer all = buffer(std::span(values));
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
  };
  for (const int size : {4, 5}) {
    for (const Algorithm algorithm : {Algorithm::ring, Algorithm::hierarchical}) {
      const Schedule schedule = schedule_of(algorithm, size, on_two_hosts(size));
      const Sent sent = sent_by(algorithm, size, all_reduce);
      const auto expected = between_hosts(schedule, on_two_hosts(size), kElements);
      EXPECT_EQ(sent.between, 4 * static_cast<std::uint64_t>(expected)) << name_of(algorithm);
      EXPECT_EQ(sent.all, 4 * static_cast<std::uint64_t>(count(schedule, kElements).total));
      if (show) {
        fmt::print("between hosts {} {} ranks {} x float32: {}\n", name_of(algorithm), size,
                   kElements, sent.between);
      }
    }
  }
  const Sent messages = sent_by(Algorithm::hierarchical, 4, [](Group& group) {
    std::vector<float> values(1000);
    const int across = (group.rank() + 2) % 4;
    const int beside = group.rank() ^ 1;
    for (const int peer : {across, beside}) group.send(buffer(std::span(values)), peer, soon());
    for (const int peer : {across, beside}) group.receive(buffer(std::span(values)), peer, soon());
  });
  EXPECT_EQ(messages.between, 4U * 4000U);
  EXPECT_EQ(messages.all, 8U * 4000U);
}

std::vector<float> numbers(int rank, int call) {
  std::vector<float> values(30011);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(mixed(rank * 1000 + call, i) % 1000) / 7.0F;
  }
  return values;
}

// Whoever sleeps is woken through one thing whatever it waits for, memory or network.
TEST(HierarchicalGroups, WakeWhoeverSleeps) {
  constexpr int kSize = 4;
  with_group(kSize, options_of(Engine::hierarchical, Algorithm::automatic, kSize),
             [](Group& group) {
               for (int call = 0; call < 40; ++call) {
                 const auto nap = mixed(group.rank(), call) % 4;
                 std::this_thread::sleep_for(std::chrono::milliseconds(nap == 0 ? 3 : 0));
                 std::vector<float> sums = numbers(group.rank(), call);
                 const Buffer all = buffer(std::span(sums));
                 group.all_reduce({&all, 1}, ReduceOp::max, soon());
                 std::vector<float> most = numbers(0, call);
                 for (int rank = 1; rank < kSize; ++rank) {
                   const std::vector<float> other = numbers(rank, call);
                   for (std::size_t i = 0; i < most.size(); ++i) {
                     most[i] = std::max(most[i], other[i]);
                   }
                 }
                 ASSERT_EQ(sums, most) << call;
                 std::vector<float> own = numbers(group.rank(), call);
                 std::vector<float> came(own.size());
                 const int to = (group.rank() + 1 + call % 3) % kSize;
                 const int from = (group.rank() + kSize - 1 - call % 3) % kSize;
                 group.send(buffer(std::span(own)), to, soon());
                 group.receive(buffer(std::span(came)), from, soon());
                 ASSERT_EQ(came, numbers(from, call)) << call;
               }
             });
}

// More than any channel holds, both ways at once before anybody receives.
TEST(HierarchicalGroups, RanksThatSendBeforeTheyReceiveDoNotWaitForEver) {
  with_group(4, options_of(Engine::hierarchical, Algorithm::automatic, 4), [](Group& group) {
    std::vector<float> out(1500000, static_cast<float>(group.rank()));
    std::vector<float> in(out.size());
    for (const int distance : {1, 2, 3}) {
      group.send(buffer(std::span(out)), group.rank() ^ distance, soon());
    }
    for (const int distance : {1, 2, 3}) {
      group.receive(buffer(std::span(in)), group.rank() ^ distance, soon());
      ASSERT_THAT((std::vector<float>{in.front(), in[700000], in.back()}),
                  Each(static_cast<float>(group.rank() ^ distance)));
    }
  });
}

TEST(HierarchicalGroups, AreChosenWhereSomeShareAHost) {
  const auto engine_of = [](int size, int each, const std::vector<int>& members) {
    std::vector<std::string> engines;
    std::mutex mutex;
    CommOptions options;
    options.ranks_per_host = each;
    run_ranks(size, options, [&](World& world) {
      EXPECT_EQ(world.local_rank(), each == 0 ? world.rank() : world.rank() % each);
      if (std::find(members.begin(), members.end(), world.rank()) == members.end()) return;
      const auto group = world.form_group("some", members, soon());
      group->barrier(soon());
      const std::lock_guard lock(mutex);
      engines.emplace_back(group->engine());
    });
    return engines;
  };
  EXPECT_THAT(engine_of(4, 0, {0, 1, 2, 3}), Each("memory"));
  EXPECT_THAT(engine_of(4, 2, {0, 1, 2, 3}), Each("hierarchical"));
  EXPECT_THAT(engine_of(4, 2, {0, 1, 3}), Each("hierarchical"));
  EXPECT_THAT(engine_of(4, 2, {0, 2}), Each("tcp"));
  EXPECT_THAT(engine_of(4, 2, {2, 3}), Each("memory"));
}

TEST(HierarchicalGroups, RefuseRanksWhoseOptionsDiffer) {
  const auto store = make_memory_store();
  const auto words = words_of_ranks(2, [&](int rank) {
    CommOptions options;
    options.ranks_per_host = rank == 0 ? 1 : 2;
    options.join_seconds = 20;
    const auto world = join_world(store, {rank, 2}, options, soon());
    world->form_group("all", {0, 1}, soon());
    return std::string("formed");
  });
  EXPECT_THAT(words, testing::Contains(HasSubstr("start all workers with the same comm.engine")));
  CommOptions negative;
  negative.ranks_per_host = -1;
  EXPECT_THAT(negative.problems(), testing::ElementsAre(HasSubstr("comm.ranks_per_host is -1")));
}

TEST(HierarchicalGroups, WorkOverTwoNetworks) {
  const Watchdog watchdog("two networks of hosts");
  const auto store = make_memory_store();
  const auto words = words_of_ranks(4, [&](int rank) {
    CommOptions options = options_of(Engine::automatic, Algorithm::automatic, 4);
    options.interface_address = "127.0.0.1";
    options.second_interface_address = "127.0.0.2";
    const auto world = join_world(store, {rank, 4}, options, soon());
    const auto group = world->form_group("all", all_ranks(4), soon());
    std::vector<float> values(100003, 1.0F);
    const Buffer all = buffer(std::span(values));
    group->all_reduce({&all, 1}, ReduceOp::sum, soon());
    EXPECT_THAT(values, Each(4.0F));
    EXPECT_GT(group->bytes_between_hosts(), 0U);
    group->barrier(soon());
    return std::string(group->engine());
  });
  EXPECT_THAT(words, Each("hybrid"));
}

}  // namespace
}  // namespace shoal::test

// Schedules over links of known rates: right, and as fast as time_schedule says.
//
// SHOAL_RATED_REPETITIONS=5 times them, interleaved, with vectors that are large enough, and prints
// a line for each case; without it the vectors are small and only the results are compared.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/faulty_network.h"
#include "shoal/comm/schedule_time.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

namespace shoal::test {
namespace {

using testing::HasSubstr;

constexpr double kRate = 20e6;

struct Case {
  std::string name;
  Topology topology;
  Algorithm algorithm;
};

std::vector<Case> cases() {
  const Topology clique = Topology::clique(4, {kRate, 0});
  Topology uneven = Topology::clique(4, {kRate / 2, 0});
  uneven.set_both_ways(0, 1, {kRate * 2, 0});
  uneven.set_both_ways(2, 3, {kRate * 2, 0});
  Topology no_ring(4);  // rank 3 hangs on rank 0 alone
  for (const auto& [a, b] : {std::pair(0, 1), {1, 2}, {2, 0}, {0, 3}}) {
    no_ring.set_both_ways(a, b, {kRate, 0});
  }
  return {{"clique", clique, Algorithm::ring}, {"clique", clique, Algorithm::two_way_ring},
          {"clique", clique, Algorithm::tree}, {"uneven", uneven, Algorithm::two_way_ring},
          {"uneven", uneven, Algorithm::tree}, {"no_ring", no_ring, Algorithm::tree}};
}

NetworkLayout with_links(const Topology& topology) {
  return {std::make_shared<Topology>(topology), {}};
}

// As read_topology takes it.
std::string toml_of(const Topology& topology) {
  std::string links;
  for (int from = 0; from < topology.size(); ++from) {
    for (int to = 0; to < topology.size(); ++to) {
      const Link& link = topology.link(from, to);
      if (!link.exists()) continue;
      links += fmt::format("  {{ from = {}, to = {}, GB_per_s = {} }},\n", from, to,
                           link.bytes_per_second / 1e9);
    }
  }
  return fmt::format("ranks = {}\nlinks = [\n{}]\n", topology.size(), links);
}

// Runs an all-reduce over links that carry what the topology says. Returns the seconds of the
// slowest rank.
double run(const Case& one, std::size_t elements) {
  const TempFile file("links.toml", toml_of(one.topology));
  CommOptions options;
  options.engine = Engine::tcp;
  options.algorithm = one.algorithm;
  options.topology = file.path();
  const int size = one.topology.size();
  FaultyNetwork network(one.topology);
  const auto store = store_through(network);
  const std::vector<std::byte> right =
      serial_sum(schedule_of(one.algorithm, size, with_links(one.topology)), ElementType::float32,
                 ReduceOp::sum, elements);
  std::vector<double> seconds(static_cast<std::size_t>(size));
  {
    std::vector<std::jthread> ranks;
    for (int rank = 0; rank < size; ++rank) {
      ranks.emplace_back([&, rank] {
        const auto world = join_world(store, {rank, size}, options, soon());
        const auto group = world->form_group("all", all_ranks(size), soon());
        std::vector<std::byte> values = sample_input(ElementType::float32, elements, rank);
        const Buffer all{values.data(), elements, ElementType::float32};
        group->barrier(soon());
        const auto start = std::chrono::steady_clock::now();
        group->all_reduce({&all, 1}, ReduceOp::sum, soon());
        seconds[rank] =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        EXPECT_TRUE(values == right) << one.name << ", " << name_of(one.algorithm);
        group->barrier(soon());
      });
    }
  }
  return *std::max_element(seconds.begin(), seconds.end());
}

TEST(RatedLinks, CarryWhatTheScheduleSays) {
  const std::uint64_t repetitions = number_from("SHOAL_RATED_REPETITIONS", 0);
  const Watchdog watchdog("rated links", std::chrono::seconds(110));
  const std::size_t elements = repetitions == 0 ? 40009 : std::size_t{1} << 21;
  const std::vector<Case> all = cases();
  std::vector<std::vector<double>> measured(all.size());
  for (std::uint64_t repetition = 0; repetition < std::max<std::uint64_t>(1, repetitions);
       ++repetition) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      measured[i].push_back(1e3 * run(all[i], elements));
    }
  }
  if (repetitions == 0) return;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [name, topology, algorithm] = all[i];
    const double expected =
        time_schedule(schedule_of(algorithm, topology.size(), with_links(topology)), topology,
                      static_cast<std::int64_t>(elements), 4)
            .seconds;
    fmt::print("rated {} {}: {:.1f} ms expected, measured {:.1f} ms\n", name, name_of(algorithm),
               1e3 * expected, fmt::join(measured[i], " "));
  }
}

TEST(RatedLinks, TopologiesThatDoNotFitAreRefused) {
  const auto refused = [](int size, const std::function<void(CommOptions&, int)>& change,
                          const std::string& words) {
    const auto store = make_memory_store();
    const auto said = words_of_ranks(size, [&](int rank) {
      CommOptions options;
      options.algorithm = Algorithm::tree;
      change(options, rank);
      const auto world = join_world(store, {rank, size}, options, soon());
      world->form_group("all", all_ranks(size), soon());
      return std::string();
    });
    EXPECT_THAT(said, testing::Contains(HasSubstr(words)));
  };
  const TempFile three("three.toml", toml_of(Topology::clique(3, {kRate, 0})));
  const TempFile slower("slower.toml", toml_of(Topology::clique(3, {kRate / 2, 0})));
  Topology parted(3);
  parted.set_both_ways(0, 1, {kRate, 0});
  const TempFile apart("apart.toml", toml_of(parted));
  refused(
      2, [&](CommOptions& options, int) { options.topology = three.path(); },
      "has the links of 3 ranks, but the world has 2");
  refused(
      3, [&](CommOptions& options, int) { options.topology = apart.path(); },
      "no way from rank 0 to rank 2 and back");
  refused(
      3,
      [&](CommOptions& options, int rank) {
        options.topology = rank == 1 ? slower.path() : three.path();
      },
      "has another comm.topology than another rank of group all");
  refused(
      1, [&](CommOptions& options, int) { options.topology = "/nowhere/links.toml"; },
      "/nowhere/links.toml");
}

}  // namespace
}  // namespace shoal::test

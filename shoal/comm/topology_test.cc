// Topology files, and the time that schedules take on a topology.
#include "shoal/comm/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/schedule_time.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kElements = 1 << 22;
constexpr double kBytes = 4.0 * kElements;
constexpr double kRate = 1e8;
constexpr double kTurn = kBytes / kRate;  // seconds of a whole vector over a link

TEST(Topology, IsReadFromAFile) {
  const Topology read = topology_from(
      "ranks = 3\nlatency_us = 10\nlinks = [\n  { between = [0, 1], GB_per_s = 0.5 },\n"
      "  { from = 1, to = 2, GB_per_s = 2, latency_us = 3 },\n]\n",
      "links.toml");
  EXPECT_EQ(read.size(), 3);
  EXPECT_EQ(read.link(0, 1), (Link{0.5e9, 10e-6}));
  EXPECT_EQ(read.link(1, 0), (Link{0.5e9, 10e-6}));
  EXPECT_EQ(read.link(1, 2), (Link{2e9, 3e-6}));
  EXPECT_FALSE(read.link(2, 1).exists());
  EXPECT_DOUBLE_EQ(read.both_ways(1, 2), 0);
  const Topology two = read.among({1, 2});
  EXPECT_EQ(two.size(), 2);
  EXPECT_EQ(two.link(0, 1), (Link{2e9, 3e-6}));
}

TEST(Topology, FaultsOfAFileAreNamed) {
  const auto refused = [](std::string_view text, const auto& matcher) {
    try {
      topology_from(text, "links.toml");
      ADD_FAILURE() << "taken: " << text;
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("links.toml"), matcher)) << text;
    }
  };
  const std::string head = "ranks = 3\nlinks = [";
  refused("ranks = 0\n", HasSubstr("ranks is 0; give 1 to 128"));
  refused("ranks = 1000\n", HasSubstr("ranks is 1000; give 1 to 128"));
  refused("links = 3\n", HasSubstr("ranks"));
  refused("ranks = 3\nlinks = 7\n", HasSubstr("links is no list"));
  refused("ranks = 3\nlink = []\n", HasSubstr("link"));
  refused(head + "5]", HasSubstr("link 1 of the list is no table"));
  refused(head + "{ between = [0, 1] }]", HasSubstr("link 1 of the list needs GB_per_s above 0"));
  refused(head + "{ between = [0, 1], GB_per_s = -1 }]", HasSubstr("needs GB_per_s above 0"));
  refused(head + "{ between = [0, 1], GB_per_s = inf }]", HasSubstr("needs GB_per_s above 0"));
  refused(head + "{ between = [0, 1], GB_per_s = 'fast' }]", HasSubstr("needs GB_per_s above 0"));
  refused(head + "{ between = [0, 1], GB_per_s = 1, latency_us = -1 }]", HasSubstr("latency_us"));
  refused(head + "{ between = [0, 3], GB_per_s = 1 }]", HasSubstr("different ranks from 0 to 2"));
  refused(head + "{ between = [1, 1], GB_per_s = 1 }]", HasSubstr("different ranks from 0 to 2"));
  refused(head + "{ between = [0, 1, 2], GB_per_s = 1 }]", HasSubstr("different ranks"));
  refused(head + "{ from = 0, GB_per_s = 1 }]", HasSubstr("different ranks"));
  refused(head + "{ GB_per_s = 1 }]", HasSubstr("either between = [A, B], or from and to"));
  refused(head + "{ between = [0, 1], from = 0, GB_per_s = 1 }]", HasSubstr("either between"));
  refused(head + "{ between = [0, 1], GB_per_s = 1, speed = 4 }]",
          HasSubstr("unknown key speed; known are between"));
  refused(head + "{ between = [0, 1], GB_per_s = 1 }, { from = 1, to = 0, GB_per_s = 2 }]",
          HasSubstr("link 2 of the list says again how rank 1 reaches rank 0"));
}

TEST(ScheduleTime, IsWhatTheFormulasSay) {
  const auto takes = [](Algorithm algorithm, int size) {
    const Topology topology = Topology::clique(size, {kRate, 0});
    return time_schedule(schedule_of(algorithm, size), topology, kElements, 4).seconds / kTurn;
  };
  // In turns of the vector; the pipeline fills with the first cells.
  EXPECT_NEAR(takes(Algorithm::ring, 4), 1.5, 0.01);
  EXPECT_NEAR(takes(Algorithm::two_way_ring, 4), 0.75, 0.01);
  EXPECT_NEAR(takes(Algorithm::two_shot, 4), 0.5, 0.01);
  EXPECT_NEAR(takes(Algorithm::tree, 4), 0.5, 0.01);
  EXPECT_NEAR(takes(Algorithm::tree, 8), 0.25, 0.01);
  EXPECT_NEAR(takes(Algorithm::hop_by_hop, 4), 1, 0.06);          // up and down overlap
  EXPECT_NEAR(takes(Algorithm::recursive_doubling, 4), 1, 0.06);  // two links, one after the other
}

TEST(ScheduleTime, CountsLatenciesAndBusyLinks) {
  const Topology topology = Topology::clique(4, {kRate, 1e-3});
  const ScheduleTime empty = time_schedule(ring_schedule(4), topology, 0, 4);
  EXPECT_NEAR(empty.seconds, 6e-3, 1e-9);
  const ScheduleTime full = time_schedule(ring_schedule(4), topology, kElements, 4);
  EXPECT_NEAR(full.busy[0][1], 1.5 * kTurn, 1e-9);
  EXPECT_EQ(full.busy[1][0], 0);
  EXPECT_EQ(time_schedule(ring_schedule(1), Topology(1), kElements, 4).seconds, 0);
}

TEST(ScheduleTime, ALinkThatIsNotThereIsNamed) {
  Topology star(3);
  star.set_both_ways(0, 1, {kRate, 0});
  star.set_both_ways(0, 2, {kRate, 0});
  EXPECT_GT(time_schedule(tree_schedule(star), star, 1000, 4).seconds, 0);
  try {
    time_schedule(ring_schedule(3), star, 1000, 4);
    ADD_FAILURE() << "timed";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("ring sends from rank 1 to rank 2"));
  }
}

}  // namespace
}  // namespace shoal::test

// Packed trees reach what no packing can exceed, and their schedules are all-reduces.
#include "shoal/comm/algorithms/tree_packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using testing::HasSubstr;
using testing::Le;

// Nash-Williams: every way of cutting the ranks in parts, tried one by one.
double weakest_cut(const Topology& topology) {
  const int size = topology.size();
  double weakest = std::numeric_limits<double>::infinity();
  std::vector<int> part(static_cast<std::size_t>(size));
  const std::function<void(int, int)> put = [&](int rank, int parts) {
    if (rank < size) {
      for (int in = 0; in <= parts; ++in) {
        part[rank] = in;
        put(rank + 1, std::max(parts, in + 1));
      }
      return;
    }
    if (parts < 2) return;
    double crossing = 0;
    for (int a = 0; a < size; ++a) {
      for (int b = a + 1; b < size; ++b) {
        if (part[a] != part[b]) crossing += topology.both_ways(a, b);
      }
    }
    weakest = std::min(weakest, crossing / (parts - 1));
  };
  put(0, 0);
  return weakest;
}

// Links at random, as fast as `rates` says; a chain makes sure that all are joined.
Topology random_topology(int size, std::uint64_t seed, const std::vector<double>& rates) {
  Topology topology(size);
  for (int a = 0; a < size; ++a) {
    for (int b = a + 1; b < size; ++b) {
      const std::uint64_t drawn = mixed(seed, static_cast<std::uint64_t>(a) * size + b);
      if (b != a + 1 && drawn % 5 < 2) continue;
      topology.set_both_ways(a, b, {rates[drawn / 7 % rates.size()], 0});
    }
  }
  return topology;
}

// What the trees make of the links, worked out anew.
double rate_of(const TreePacking& packing, const Topology& topology) {
  const int size = topology.size();
  std::vector<double> load(static_cast<std::size_t>(size * size));
  for (const Tree& tree : packing.trees) {
    for (int rank = 0; rank < size; ++rank) {
      const int above = tree.parent[rank];
      EXPECT_EQ(above < 0, rank == tree.root);
      if (above >= 0) ++load[std::min(rank, above) * size + std::max(rank, above)];
    }
  }
  double fullest = 0;
  for (int a = 0; a < size; ++a) {
    for (int b = a + 1; b < size; ++b) {
      if (load[a * size + b] == 0) continue;
      fullest = std::max(fullest, load[a * size + b] / topology.both_ways(a, b));
    }
  }
  return static_cast<double>(packing.trees.size()) / fullest;
}

void expect_reaches(const Topology& topology, double share) {
  SCOPED_TRACE(topology.text());
  const TreePacking packing = pack_trees(topology);
  const double weakest = weakest_cut(topology);
  EXPECT_NEAR(packing.rate, rate_of(packing, topology), 1e-9 * weakest);
  EXPECT_GE(packing.rate, share * weakest);
  EXPECT_LE(packing.rate, weakest * (1 + 1e-9));
  EXPECT_GE(packing.bound, weakest * (1 - 1e-9));
  EXPECT_EQ(problem_of(schedule_of(packing, topology.size())), "");
}

TEST(TreePacking, ReachesTheWeakestCutWhereLinksAreAlike) {
  for (int size = 2; size <= 8; ++size) {
    expect_reaches(Topology::clique(size, {1, 0}), 0.999);
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      expect_reaches(random_topology(size, seed * 100 + size, {1}), 0.999);
    }
  }
}

TEST(TreePacking, ComesCloseWhereTheyAreNot) {
  for (int size = 3; size <= 7; ++size) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      expect_reaches(random_topology(size, seed * 100 + size, {1, 2}), 0.99);
      expect_reaches(random_topology(size, seed * 100 + size, {1, 2.5, 7, 10}), 0.97);
    }
  }
}

// A clique of 4 with equal links: twice a link's rate, where a two-way ring has 4/3 of it.
TEST(TreePacking, OfACliqueIsAStarAboutEachRank) {
  const TreePacking packing = pack_trees(Topology::clique(4, {3, 0}));
  EXPECT_DOUBLE_EQ(packing.rate, 6);
  EXPECT_DOUBLE_EQ(packing.bound, 6);
  EXPECT_EQ(text_of(tree_schedule(Topology::clique(3, {1, 0}))),
            "step 0: 1>0 +[0], 2>0 +[0], 0>1 +[1], 2>1 +[1], 0>2 +[2], 1>2 +[2]\n"
            "step 1: 0>1 =[0], 0>2 =[0], 1>0 =[1], 1>2 =[1], 2>0 =[2], 2>1 =[2]\n");
}

// A cycle of 5: every tree leaves one link out.
TEST(TreePacking, OfACycleLeavesEachLinkOutOnce) {
  Topology cycle(5);
  for (int rank = 0; rank < 5; ++rank) cycle.set_both_ways(rank, (rank + 1) % 5, {4, 0});
  const TreePacking packing = pack_trees(cycle);
  EXPECT_NEAR(packing.rate, 5, 0.005);
  EXPECT_EQ(packing.trees.size(), 5U);
}

TEST(TreePacking, CountsWhatALinkCarriesBothWays) {
  Topology pair(2);
  pair.set(0, 1, {10, 0});
  pair.set(1, 0, {3, 0});
  EXPECT_DOUBLE_EQ(pack_trees(pair).rate, 3);
}

TEST(TreePacking, ManyRanksAreDealtWith) {
  const Topology grid = [] {
    Topology links(64);
    for (int rank = 0; rank < 64; ++rank) {
      if (rank % 8 != 7) links.set_both_ways(rank, rank + 1, {1, 0});
      if (rank + 8 < 64) links.set_both_ways(rank, rank + 8, {1, 0});
    }
    return links;
  }();
  const TreePacking packing = pack_trees(grid);
  EXPECT_GE(packing.rate, 0.9 * packing.bound);
  EXPECT_EQ(problem_of(schedule_of(packing, 64)), "");
}

TEST(TreePacking, NamesTheRankThatCannotBeReached) {
  Topology apart(4);
  apart.set_both_ways(0, 1, {1, 0});
  apart.set_both_ways(2, 3, {1, 0});
  apart.set(1, 2, {1, 0});  // there is no way back
  try {
    pack_trees(apart);
    ADD_FAILURE() << "packed";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("no way from rank 0 to rank 2 and back"));
  }
}

}  // namespace
}  // namespace shoal::test

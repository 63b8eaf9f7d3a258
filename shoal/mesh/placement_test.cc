#include "shoal/mesh/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

// What a holder has in memory: the global row-major number of each element it holds.
std::vector<std::int64_t> held(const Placement& placement) {
  std::vector<std::int64_t> all;
  std::vector<std::int64_t> at;
  for (const Range& range : placement.box) at.push_back(range.begin);
  for (std::int64_t n = 0; n < placement.box_size(); ++n) {
    std::int64_t global = 0;
    for (std::size_t i = 0; i < at.size(); ++i) global = global * placement.shape[i] + at[i];
    if (n >= placement.elements.begin && n < placement.elements.end) all.push_back(global);
    for (std::size_t i = at.size(); i-- > 0;) {
      if (++at[i] < placement.box[i].end) break;
      at[i] = placement.box[i].begin;
    }
  }
  return all;
}

TEST(Placement, TheWholeTensor) {
  const Placement all = whole("w", {3, 4});
  EXPECT_TRUE(all.is_whole());
  EXPECT_EQ(all.size(), 12);
  EXPECT_EQ(whole("scalar", {}).size(), 1);
  EXPECT_EQ(whole("empty", {3, 0}).size(), 0);
  EXPECT_FALSE(shard_of(all, 2, 0).is_whole());
  EXPECT_THAT(all.problems(), IsEmpty());
}

TEST(Placement, EveryRankHoldsItsBox) {
  const Mesh mesh({{"data", 2}, {"tensor", 3}});
  const Layout layout{{{"ffn", {"tensor"}}, {"vocab", {"tensor", "data"}}}};
  const std::vector<Dim> dims = {{"hidden", 4}, {"ffn", 6}};
  const Placement five = placement_of("w", dims, layout, mesh, 5);  // data 1, tensor 2
  EXPECT_THAT(five.box, ElementsAre(Range{0, 4}, Range{4, 6}));
  EXPECT_EQ(five.elements, (Range{0, 8}));
  EXPECT_EQ(placement_of("w", dims, layout, mesh, 2), five);  // same tensor coordinate
  // Uneven, over two axes: tensor is slower. 10 in 6 parts: 2 2 2 2 1 1.
  std::vector<Range> boxes;
  for (const int rank : {0, 3, 1, 4, 2, 5}) {
    boxes.push_back(placement_of("e", {{"vocab", 10}}, layout, mesh, rank).box[0]);
  }
  EXPECT_THAT(boxes, ElementsAre(Range{0, 2}, Range{2, 4}, Range{4, 6}, Range{6, 8}, Range{8, 9},
                                 Range{9, 10}));
}

TEST(Placement, AnImpossibleLayoutIsRefusedWithItsReason) {
  const Mesh mesh({{"tensor", 4}});
  const Layout layout{{{"ffn", {"tensor"}}}};
  try {
    placement_of("w", {{"ffn", 6}}, layout, mesh, 0);
    FAIL() << "accepted";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("w: 'ffn' has size 6, which 4 parts (axis tensor)"));
  }
}

TEST(Placement, ShardsCutTheHeldElementsInOrder) {
  const Placement box =
      placement_of("w", {{"ffn", 4}, {"hidden", 5}}, {{{"ffn", {"t"}}}}, Mesh({{"t", 2}}), 1);
  EXPECT_EQ(shard_of(box, 3, 0).elements, (Range{0, 4}));
  EXPECT_EQ(shard_of(box, 3, 2).elements, (Range{7, 10}));
  EXPECT_EQ(shard_of(shard_of(box, 3, 2), 2, 1).elements, (Range{9, 10}));
}

TEST(CommonRuns, AreAsLongAsTheyCanBe) {
  const Placement all = whole("w", {4, 6});
  EXPECT_THAT(common_runs(all, all), ElementsAre(CommonRun{0, 0, 24}));
  // Rows 1 and 2 lie together; columns 2 to 4 do not.
  Placement rows = all;
  rows.box[0] = {1, 3};
  rows.elements = {0, 12};
  EXPECT_THAT(common_runs(all, rows), ElementsAre(CommonRun{6, 0, 12}));
  Placement columns = all;
  columns.box[1] = {2, 4};
  columns.elements = {0, 8};
  EXPECT_THAT(common_runs(all, columns), ElementsAre(CommonRun{2, 0, 2}, CommonRun{8, 2, 2},
                                                     CommonRun{14, 4, 2}, CommonRun{20, 6, 2}));
  EXPECT_THAT(common_runs(columns, rows), ElementsAre(CommonRun{2, 2, 2}, CommonRun{4, 8, 2}));
  EXPECT_THAT(common_runs(shard_of(all, 4, 1), shard_of(all, 3, 1)),
              ElementsAre(CommonRun{2, 0, 4}));
  EXPECT_THAT(common_runs(shard_of(all, 4, 0), shard_of(all, 4, 1)), IsEmpty());
  EXPECT_THAT(common_runs(whole("s", {}), whole("s", {})), ElementsAre(CommonRun{0, 0, 1}));
  EXPECT_THAT(common_runs(whole("e", {0, 3}), whole("e", {0, 3})), IsEmpty());
}

TEST(CommonRuns, AreOfOneTensor) {
  EXPECT_THROW(common_runs(whole("a", {2}), whole("b", {2})), BrokenInvariant);
  EXPECT_THROW(common_runs(whole("a", {2}), whole("a", {3})), BrokenInvariant);
}

Placement random_placement(const std::vector<std::int64_t>& shape, std::mt19937& generator) {
  const auto range_within = [&](std::int64_t size) {
    std::uniform_int_distribution<std::int64_t> draw(0, size);
    const std::int64_t a = draw(generator);
    const std::int64_t b = draw(generator);
    return generator() % 3 == 0 ? Range{0, size} : Range{std::min(a, b), std::max(a, b)};
  };
  Placement placement = whole("w", shape);
  for (std::size_t i = 0; i < shape.size(); ++i) placement.box[i] = range_within(shape[i]);
  placement.elements = range_within(placement.box_size());
  return placement;
}

// Copying the runs brings exactly the common elements to their places.
TEST(CommonRuns, BringEveryCommonElementToItsPlace) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 generator(seed);
    std::vector<std::int64_t> shape(generator() % 5);
    for (std::int64_t& size : shape) size = 1 + generator() % 4;
    const Placement from = random_placement(shape, generator);
    const Placement to = random_placement(shape, generator);
    ASSERT_THAT(from.problems(), IsEmpty());
    const std::vector<std::int64_t> source = held(from);
    const std::vector<std::int64_t> wanted = held(to);
    std::vector<std::int64_t> got(wanted.size(), -1);
    std::int64_t to_end = 0;
    for (const CommonRun& run : common_runs(from, to)) {
      ASSERT_GT(run.count, 0) << seed;
      ASSERT_GE(run.to, to_end) << seed;  // ascending, none twice
      to_end = run.to + run.count;
      ASSERT_LE(run.from + run.count, from.size()) << seed;
      ASSERT_LE(to_end, to.size()) << seed;
      std::copy_n(source.begin() + run.from, run.count, got.begin() + run.to);
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const bool is_common = std::ranges::binary_search(source, wanted[i]);
      ASSERT_EQ(got[i], is_common ? wanted[i] : -1) << seed;
    }
  }
}

// From any mesh to any other: every rank of the new one gets each of its elements once.
TEST(CommonRuns, ReshardFromOneMeshToAnother) {
  const std::vector<Dim> dims = {{"hidden", 6}, {"vocab", 13}, {"k", 2}};
  const Layout layout{{{"vocab", {"tensor"}}, {"hidden", {"row"}}}};
  const Mesh old_mesh({{"row", 2}, {"tensor", 3}, {"data", 2}});
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 2}, {1, 5}, {6, 1}}) {
    const Mesh new_mesh({{"tensor", columns}, {"row", rows}});
    for (int rank = 0; rank < new_mesh.size(); ++rank) {
      const Placement to = placement_of("w", dims, layout, new_mesh, rank);
      std::vector<std::int64_t> got(static_cast<std::size_t>(to.size()), -1);
      for (int from_rank = 0; from_rank < old_mesh.size(); ++from_rank) {
        // Each data replica holds half of the box.
        const Placement from = shard_of(placement_of("w", dims, layout, old_mesh, from_rank), 2,
                                        old_mesh.coordinate(from_rank, "data"));
        const std::vector<std::int64_t> source = held(from);
        for (const CommonRun& run : common_runs(from, to)) {
          for (std::int64_t i = 0; i < run.count; ++i) {
            auto& place = got[static_cast<std::size_t>(run.to + i)];
            EXPECT_EQ(place, -1);
            place = source[static_cast<std::size_t>(run.from + i)];
          }
        }
      }
      EXPECT_EQ(got, held(to));
    }
  }
}

TEST(Coverage, FindsGapsOverlapsAndStrangers) {
  const Placement all = whole("w", {4, 3});
  EXPECT_THAT(coverage_problems({all}), IsEmpty());
  EXPECT_THAT(coverage_problems({shard_of(all, 2, 0), shard_of(all, 2, 1)}), IsEmpty());
  EXPECT_THAT(coverage_problems({whole("e", {0})}), IsEmpty());
  EXPECT_THAT(coverage_problems({shard_of(all, 3, 0), shard_of(all, 3, 2)}),
              ElementsAre("w: the parts hold 8 of 12 elements"));
  EXPECT_THAT(coverage_problems({shard_of(all, 2, 0), shard_of(all, 3, 1), shard_of(all, 3, 2)}),
              ElementsAre("w: parts 0 and 1 both hold 2 elements"));
  EXPECT_THAT(coverage_problems({all, whole("w", {4, 4})}),
              ElementsAre("w [4, 4] is another tensor than w [4, 3]"));
  EXPECT_THAT(coverage_problems({}), ElementsAre("nobody holds any part"));
}

TEST(PlacementJson, SurvivesBeingWritten) {
  std::mt19937 generator(5);
  for (int i = 0; i < 100; ++i) {
    std::vector<std::int64_t> shape(generator() % 4);
    for (std::int64_t& size : shape) size = generator() % 5;
    const Placement placement = random_placement(shape, generator);
    EXPECT_EQ(placement_from_json(json::parse(to_json(placement).dump())), placement);
  }
  EXPECT_EQ(to_json(shard_of(whole("w", {4, 3}), 2, 1)).dump(),
            R"({"box":[[0,4],[0,3]],"elements":[6,12],"name":"w","shape":[4,3]})");
}

TEST(PlacementJson, RefusesEveryMalformedNeighbour) {
  const json good = to_json(whole("w", {4, 3}));
  const auto refused = [&](const char* key, const json& value) {
    json bad = good;
    bad[key] = value;
    try {
      placement_from_json(bad);
    } catch (const InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const char* key : {"name", "shape", "box", "elements"}) {
    json without = good;
    without.erase(key);
    EXPECT_THROW(placement_from_json(without), InvalidInput) << key;
    EXPECT_NE(refused(key, nullptr), "") << key;
    EXPECT_NE(refused(key, {{"a", 1}}), "") << key;
  }
  EXPECT_THROW(placement_from_json(json::array()), InvalidInput);
  EXPECT_THAT(refused("shape", {4, -3}), HasSubstr("dim 1 has size -3"));
  EXPECT_THAT(refused("shape", {4, 2}), HasSubstr("[0, 3) of dim 1 is not within its size 2"));
  EXPECT_THAT(refused("shape", {4}), HasSubstr("1 dims but a box of 2"));
  EXPECT_THAT(refused("shape", {4, 2.5}), HasSubstr("2.5 for an integer"));
  EXPECT_THAT(refused("shape", json::parse("[4, 18446744073709551615]")),
              HasSubstr("for an integer"));
  EXPECT_THAT(refused("shape", {kLargest, kLargest}), HasSubstr("can be counted"));
  EXPECT_THAT(refused("box", json::parse("[[0, 4], [2, 1]]")), HasSubstr("[2, 1) of dim 1"));
  EXPECT_THAT(refused("box", json::parse("[[0, 4], [-1, 1]]")), HasSubstr("[-1, 1) of dim 1"));
  EXPECT_THAT(refused("box", json::parse("[[0, 4], [0]]")), HasSubstr("for [begin, end]"));
  EXPECT_THAT(refused("elements", {0, 13}), HasSubstr("[0, 13) are not within the 12"));
  EXPECT_THAT(refused("elements", {5, 4}), HasSubstr("[5, 4)"));
  EXPECT_THAT(refused("elements", {-1, 4}), HasSubstr("[-1, 4)"));
}

}  // namespace
}  // namespace shoal

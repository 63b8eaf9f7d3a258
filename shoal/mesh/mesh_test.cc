#include "shoal/mesh/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Mesh kCube({{"pipe", 2}, {"data", 3}, {"tensor", 2}});

TEST(Mesh, WithoutAxesIsOneWorker) {
  const Mesh mesh;
  EXPECT_EQ(mesh.size(), 1);
  EXPECT_EQ(mesh.text(), "1 worker");
  EXPECT_THAT(mesh.ranks_along({"data"}, 0), ElementsAre(0));
  EXPECT_EQ(mesh.group_name({"data"}, 0), "self");
  EXPECT_EQ(mesh.rank_at({}), 0);
}

TEST(Mesh, LaysRanksOutWithTheLastAxisFastest) {
  EXPECT_EQ(kCube.size(), 12);
  EXPECT_THAT(kCube.coordinates(0), ElementsAre(0, 0, 0));
  EXPECT_THAT(kCube.coordinates(1), ElementsAre(0, 0, 1));
  EXPECT_THAT(kCube.coordinates(2), ElementsAre(0, 1, 0));
  EXPECT_THAT(kCube.coordinates(6), ElementsAre(1, 0, 0));
  for (int rank = 0; rank < kCube.size(); ++rank) {
    EXPECT_EQ(kCube.rank_at(kCube.coordinates(rank)), rank);
    EXPECT_EQ(kCube.coordinate(rank, "data"), kCube.coordinates(rank)[1]);
  }
}

TEST(Mesh, AnAxisThatIsNotThereHasSizeOne) {
  EXPECT_FALSE(kCube.has("expert"));
  EXPECT_EQ(kCube.axis_size("expert"), 1);
  EXPECT_EQ(kCube.coordinate(7, "expert"), 0);
  EXPECT_THAT(kCube.ranks_along({"expert"}, 7), ElementsAre(7));
  EXPECT_TRUE(kCube.has("pipe"));
  EXPECT_EQ(kCube.axis_size("data"), 3);
}

TEST(Mesh, GroupsAlongAxes) {
  EXPECT_THAT(kCube.ranks_along({"tensor"}, 7), ElementsAre(6, 7));
  EXPECT_THAT(kCube.ranks_along({"data"}, 7), ElementsAre(7, 9, 11));
  EXPECT_THAT(kCube.ranks_along({"pipe"}, 7), ElementsAre(1, 7));
  EXPECT_THAT(kCube.ranks_along({"tensor", "data"}, 3), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(kCube.ranks_along({"pipe", "tensor"}, 3), ElementsAre(2, 3, 8, 9));
  EXPECT_THAT(kCube.ranks_along({}, 5), ElementsAre(5));
}

// Over any axes the groups cut the world into equal parts, all members name the group alike, and no
// two groups have one name.
TEST(Mesh, GroupsPartitionTheWorldAndHaveNamesOfTheirOwn) {
  const std::vector<std::string> names = {"pipe", "data", "tensor"};
  std::set<std::string> all_names;
  std::size_t groups = 0;
  for (unsigned subset = 0; subset < 8; ++subset) {
    std::vector<std::string> axes;
    for (unsigned i = 0; i < 3; ++i) {
      if (subset >> i & 1) axes.push_back(names[i]);
    }
    std::map<std::string, std::vector<int>> members;
    for (int rank = 0; rank < kCube.size(); ++rank) {
      const std::vector<int> group = kCube.ranks_along(axes, rank);
      EXPECT_TRUE(std::ranges::is_sorted(group));
      EXPECT_NE(std::ranges::find(group, rank), group.end());
      const auto [known, is_new] = members.emplace(kCube.group_name(axes, rank), group);
      EXPECT_EQ(known->second, group);
      groups += is_new;
      all_names.insert(known->first);
    }
    std::size_t total = 0;
    for (const auto& [name, group] : members) total += group.size();
    EXPECT_EQ(total, 12u);
  }
  EXPECT_EQ(all_names.size(), groups);
}

TEST(Mesh, NamesGroupsInMeshOrder) {
  EXPECT_EQ(kCube.group_name({"data"}, 7), "data@pipe=1,tensor=1");
  EXPECT_EQ(kCube.group_name({"tensor", "data"}, 7), "data+tensor@pipe=1");
  EXPECT_EQ(kCube.group_name({"pipe", "data", "tensor"}, 7), "pipe+data+tensor");
  EXPECT_EQ(kCube.group_name({}, 7), "self@pipe=1,data=0,tensor=1");
  const Mesh flat({{"data", 4}, {"tensor", 1}});
  EXPECT_EQ(flat.group_name({"data"}, 2), "data");
  EXPECT_EQ(flat.group_name({"data", "tensor"}, 2), "data");
  EXPECT_EQ(flat.text(), "data 4 x tensor 1");
}

TEST(Mesh, NamesEveryFaultAtOnce) {
  try {
    const Mesh mesh({{"data", 0}, {"", 2}, {"data", 2}, {"a+b", -1}});
    FAIL() << "accepted";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.faults,
                ElementsAre("mesh axis 'data' has size 0: give 1 or more",
                            "mesh axis '': give a name of letters, digits, '_' and '-'",
                            "mesh axis 'data' stands twice: give each name once",
                            HasSubstr("mesh axis 'a+b': give a name"),
                            "mesh axis 'a+b' has size -1: give 1 or more"));
  }
  EXPECT_THAT(Mesh::problems({{"a", 65536}, {"b", 65536}}),
              ElementsAre(HasSubstr("more than 2147483647 workers")));
  EXPECT_THAT(Mesh::problems({{"a", std::numeric_limits<std::int64_t>::max()}, {"b", 2}}),
              ElementsAre(HasSubstr("more than 2147483647 workers")));
  EXPECT_THAT(Mesh::problems({{"a", 2147483647}}), ElementsAre());
}

TEST(Mesh, RanksOutsideAreABug) {
  EXPECT_THROW(kCube.coordinates(12), BrokenInvariant);
  EXPECT_THROW(kCube.ranks_along({"data"}, -1), BrokenInvariant);
  EXPECT_THROW(kCube.rank_at({0, 3, 0}), BrokenInvariant);
  EXPECT_THROW(kCube.rank_at({0, 0}), BrokenInvariant);
}

}  // namespace
}  // namespace shoal

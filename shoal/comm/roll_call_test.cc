#include "shoal/comm/roll_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace shoal {
namespace {

using testing::ElementsAre;

std::vector<int> hold_up(const std::vector<int>& awaited,
                         const std::map<int, std::vector<int>>& waits) {
  return ranks_that_hold_up(awaited, 0, [&](int rank) -> std::optional<RankSet> {
    const auto found = waits.find(rank);
    if (found == waits.end()) return std::nullopt;
    return RankSet::of(found->second);
  });
}

TEST(RollCall, FollowsThoseWhoWaitToThoseWhoDoNot) {
  EXPECT_THAT(hold_up({1}, {}), ElementsAre(1));
  EXPECT_THAT(hold_up({1}, {{1, {2}}, {2, {3}}}), ElementsAre(3));
  EXPECT_THAT(hold_up({1, 2}, {{1, {2, 3}}, {2, {1, 4}}}), ElementsAre(3, 4));
  EXPECT_THAT(hold_up({1, 2}, {{1, {0}}, {2, {5}}}), ElementsAre(5));
}

TEST(RollCall, NamesThoseAwaitedWhenAllWaitInACircle) {
  EXPECT_THAT(hold_up({1}, {{1, {2}}, {2, {0}}}), ElementsAre(1));
  EXPECT_THAT(hold_up({1}, {{1, {2}}, {2, {1}}}), ElementsAre(1));
}

TEST(RollCall, ARankSetGivesBackWhatItTook) {
  EXPECT_THAT(RankSet::of({0, 63, 64, 127}).ranks(), ElementsAre(0, 63, 64, 127));
  EXPECT_THAT(RankSet::of({5, 128, 300}).ranks(), ElementsAre(5));
  EXPECT_TRUE(RankSet::of({}).ranks().empty());
}

}  // namespace
}  // namespace shoal

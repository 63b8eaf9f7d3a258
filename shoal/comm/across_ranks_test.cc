#include "shoal/comm/across_ranks.h"

#include <gtest/gtest.h>

#include "shoal/comm/world.h"

namespace shoal {
namespace {

template <typename Body>
void in_a_group_of_3(Body body) {
  run_ranks(3, CommOptions{}, [&](World& world) {
    const auto deadline = Deadline::after_seconds(20);
    body(*world.form_group("all", {0, 1, 2}, deadline), deadline);
  });
}

TEST(AcrossRanks, NamesTheLowestRankThatDiffersOnEveryRank) {
  in_a_group_of_3([](Group& group, Deadline deadline) {
    EXPECT_EQ(rank_that_differs(group, ~std::uint64_t{0}, deadline), std::nullopt);
    EXPECT_EQ(rank_that_differs(group, group.rank() == 2 ? 1 : 0, deadline), 2);
    EXPECT_EQ(rank_that_differs(group, group.rank() == 0 ? 1 : 0, deadline), 1);
  });
}

TEST(AcrossRanks, GivesRank0sTextWhateverTheOthersHave) {
  in_a_group_of_3([](Group& group, Deadline deadline) {
    const std::string own = group.rank() == 0 ? "of rank 0" : "a longer text of another rank";
    EXPECT_EQ(text_of_rank_0(group, own, deadline), "of rank 0");
    EXPECT_EQ(text_of_rank_0(group, group.rank() == 0 ? "" : "x", deadline), "");
  });
}

}  // namespace
}  // namespace shoal

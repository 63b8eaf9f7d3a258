#include "shoal/core/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace shoal {
namespace {

using testing::ElementsAre;

std::vector<std::int64_t> sizes(std::int64_t n, std::int64_t parts) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < parts; ++i) all.push_back(part_of(n, parts, i).size());
  return all;
}

TEST(PartOf, GivesTheFirstPartsOneMore) {
  EXPECT_THAT(sizes(10'007, 4), ElementsAre(2'502, 2'502, 2'502, 2'501));
  EXPECT_THAT(sizes(100, 3), ElementsAre(34, 33, 33));
  EXPECT_THAT(sizes(8, 4), ElementsAre(2, 2, 2, 2));
}

TEST(PartOf, LeavesTheLastPartsEmptyWhenThereAreTooFew) {
  EXPECT_THAT(sizes(2, 5), ElementsAre(1, 1, 0, 0, 0));
  EXPECT_THAT(sizes(0, 3), ElementsAre(0, 0, 0));
  EXPECT_EQ(part_of(2, 5, 4), (Range{2, 2}));
  EXPECT_TRUE(part_of(2, 5, 2).empty());
}

TEST(PartOf, CoversEverythingOnceInOrder) {
  for (std::int64_t n = 0; n < 40; ++n) {
    for (std::int64_t parts = 1; parts < 12; ++parts) {
      std::int64_t expected_begin = 0;
      for (std::int64_t i = 0; i < parts; ++i) {
        const Range part = part_of(n, parts, i);
        EXPECT_EQ(part.begin, expected_begin) << n << " in " << parts;
        expected_begin = part.end;
      }
      EXPECT_EQ(expected_begin, n) << n << " in " << parts;
    }
  }
}

TEST(PartOf, DoesNotOverflow) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(part_of(kLargest, 3, 2).end, kLargest);
  EXPECT_EQ(part_of(kLargest, kLargest, kLargest - 1), (Range{kLargest - 1, kLargest}));
}

TEST(PartOf, RefusesPartsThatDoNotExist) {
  EXPECT_THROW(part_of(5, 0, 0), BrokenInvariant);
  EXPECT_THROW(part_of(5, 2, 2), BrokenInvariant);
  EXPECT_THROW(part_of(5, 2, -1), BrokenInvariant);
  EXPECT_THROW(part_of(-1, 2, 0), BrokenInvariant);
}

}  // namespace
}  // namespace shoal

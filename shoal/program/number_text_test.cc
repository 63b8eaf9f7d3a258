#include "shoal/program/number_text.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(HumanBytes, HasThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "0.977 KiB");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(25 << 20), "25 MiB");
  EXPECT_EQ(human_bytes(std::int64_t{5} << 40), "5 TiB");
}

TEST(RangesText, JoinsNeighbours) {
  EXPECT_EQ(ranges_text({}), "");
  EXPECT_EQ(ranges_text({4}), "4");
  EXPECT_EQ(ranges_text({0, 1}), "0,1");
  EXPECT_EQ(ranges_text({0, 1, 2, 5, 7, 8, 9, 10}), "0-2,5,7-10");
}

}  // namespace
}  // namespace shoal

#include "shoal/comm/yielding.h"

#include <gtest/gtest.h>

namespace shoal::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Yielding::Clock::time_point at(milliseconds time) {
  return Yielding::Clock::time_point(time);
}

TEST(Yielding, PaysUntilAnotherProgramTookAWholeTurn) {
  Yielding yielding;
  EXPECT_TRUE(yielding.pays(at(milliseconds(0))));
  yielding.lasted(at(milliseconds(10)), at(milliseconds(10)) + microseconds(900));
  EXPECT_TRUE(yielding.pays(at(milliseconds(11))));
  yielding.lasted(at(milliseconds(20)), at(milliseconds(24)));
  EXPECT_FALSE(yielding.pays(at(milliseconds(24))));
  EXPECT_FALSE(yielding.pays(at(milliseconds(123))));
  EXPECT_TRUE(yielding.pays(at(milliseconds(124)))) << "the other program may have ended";
}

TEST(Yielding, TellsTheTime) {
  Yielding yielding;
  const auto before = Yielding::Clock::now();
  const auto after = yielding.yield(before);
  EXPECT_GE(after, before);
  EXPECT_LE(after, Yielding::Clock::now());
}

}  // namespace
}  // namespace shoal::test

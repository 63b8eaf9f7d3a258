// When a rank that waits over connections says for whom, and looks at the others.
#include "shoal/comm/frame_standing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

// Where sockets are ready again and again, or nothing can be slept on, no sleep ends with time up:
// the look at whether the others live comes by the clock.
TEST(TellsOfWaiting, LooksAroundByTheClock) {
  TellsOfWaiting tells(Deadline::after(milliseconds(10000)));
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(tells.look_is_due()) << "a wait that has just begun";
  int looks = 0;
  while (looks < 2 && Deadline::Clock::now() - start < std::chrono::seconds(10)) {
    if (tells.look_is_due()) ++looks;
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(looks, 2);
  EXPECT_GE(Deadline::Clock::now() - start, milliseconds(400)) << "seldom enough to cost nothing";
}

TEST(TellsOfWaiting, SaysForWhomItWaitsOnceAPeriod) {
  TellsOfWaiting tells(Deadline::after(milliseconds(400)));
  EXPECT_FALSE(tells.is_due()) << "a wait that has just begun";
  EXPECT_EQ(tells.period(), milliseconds(50));
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_TRUE(tells.is_due());
}

TEST(PeerWaits, KnowsForWhomUntilTheNextWord) {
  TellsOfWaiting tells(Deadline::after(milliseconds(400)));
  PeerWaits heard;
  EXPECT_FALSE(heard.ranks().has_value()) << "it has said nothing";
  tells.is_due();
  heard.take(tells.frame({1, 70}));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(heard.ranks().has_value()) << "it has said nothing for several periods";

  TellsOfWaiting seldom(Deadline::after(std::chrono::seconds(100)));
  seldom.is_due();
  heard.take(seldom.frame({1, 70}));
  ASSERT_TRUE(heard.ranks());
  EXPECT_THAT(heard.ranks()->ranks(), ElementsAre(1, 70));
}

}  // namespace
}  // namespace shoal::test

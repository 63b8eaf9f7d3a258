#include "shoal/launch/held_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

// Lines as they would stand on the terminal.
class Held {
 public:
  void say(int rank, const std::string& text) { note(errors.add(rank, {rank}, text, now)); }
  std::vector<std::string> after(milliseconds time) {
    now += time;
    note(errors.take_due(now));
    return std::exchange(lines_, {});
  }
  std::vector<std::string> at_the_end() {
    note(errors.take_all());
    return std::exchange(lines_, {});
  }

  HeldErrors errors{HeldErrorsOptions{}};
  HeldErrors::Clock::time_point now{};

 private:
  void note(const std::vector<HeldErrors::Shown>& shown) {
    for (const auto& [ranks, text] : shown) {
      std::string line;
      for (const int rank : ranks) line += std::to_string(rank) + ",";
      lines_.push_back(line + " " + text);
    }
  }
  std::vector<std::string> lines_;
};

TEST(HeldErrors, ACauseIsShownItsConsequencesAreNot) {
  Held held;
  held.say(0, "rank 1 has left");
  held.errors.ended(0, Because::others);
  held.say(1, "the disk is full");
  held.errors.ended(1, Because::own);
  held.errors.know_cause();
  held.say(2, "rank 1 has left the group");
  EXPECT_THAT(held.after(milliseconds(299)), IsEmpty());
  EXPECT_THAT(held.after(milliseconds(1)), ElementsAre("1, the disk is full"));
  held.errors.ended(2, Because::others);
  EXPECT_THAT(held.after(milliseconds(5000)), IsEmpty());
  EXPECT_THAT(held.at_the_end(), IsEmpty());
}

TEST(HeldErrors, AConsequenceWaitsForItsCauseHoweverLateThatEnds) {
  Held held;
  held.say(0, "rank 1 has left");
  held.errors.ended(0, Because::others);
  EXPECT_FALSE(held.errors.next_due().has_value());
  EXPECT_THAT(held.after(milliseconds(60000)), IsEmpty());
  EXPECT_FALSE(held.errors.empty());
  held.errors.know_cause();
  EXPECT_THAT(held.at_the_end(), IsEmpty());
  EXPECT_TRUE(held.errors.empty());
}

TEST(HeldErrors, WithoutACauseWhoWaitedForWhomIsAllThereIs) {
  Held held;
  held.say(0, "rank 1 has not come");
  held.say(1, "rank 2 has not come");
  held.errors.ended(0, Because::others);
  held.errors.ended(1, Because::others);
  EXPECT_THAT(held.after(milliseconds(60000)), IsEmpty());
  EXPECT_THAT(held.at_the_end(), ElementsAre("0, rank 1 has not come", "1, rank 2 has not come"));
}

TEST(HeldErrors, OfANamedLossTheFirstSurvivorsSentenceIsEnough) {
  Held held;
  held.errors.know_loss();
  held.say(0, "rank 1 has died in #12");
  held.say(2, "rank 1 has died in #13");
  held.say(3, "rank 1 was lost");
  for (const int rank : {0, 2, 3}) held.errors.ended(rank, Because::others);
  EXPECT_THAT(held.at_the_end(), ElementsAre("0,2, rank 1 has died in #12"));
}

TEST(HeldErrors, AWorkerThatComplainsAndGoesOnIsHeard) {
  Held held;
  held.say(0, "no coffee");
  EXPECT_EQ(held.errors.next_due(), held.now + milliseconds(2000));
  EXPECT_THAT(held.after(milliseconds(1999)), IsEmpty());
  EXPECT_THAT(held.after(milliseconds(1)), ElementsAre("0, no coffee"));
}

TEST(HeldErrors, OnceACauseIsKnownALivingWorkersLineWaitsForItsEnd) {
  Held held;
  held.errors.know_cause();
  held.say(0, "of my own");
  held.say(1, "of another");
  EXPECT_THAT(held.after(milliseconds(60000)), IsEmpty());
  held.errors.ended(0, Because::own);
  held.errors.ended(1, Because::others);
  EXPECT_THAT(held.after(milliseconds(0)), ElementsAre("0, of my own"));
  EXPECT_THAT(held.at_the_end(), IsEmpty());
}

TEST(HeldErrors, LinesOfDifferentWorkersThatDifferInNumbersOnlyAreOne) {
  Held held;
  held.say(1, "cannot write rank-0001.safetensors");
  held.say(0, "cannot write rank-0000.safetensors");
  held.say(1, "cannot write rank-0009.safetensors");  // the same worker's: another matter
  held.errors.ended(0, Because::own);
  held.errors.ended(1, Because::own);
  EXPECT_THAT(held.after(milliseconds(300)), ElementsAre("0,1, cannot write rank-0001.safetensors",
                                                         "1, cannot write rank-0009.safetensors"));
  held.say(2, "cannot write rank-0002.safetensors");  // late, nothing new
  EXPECT_THAT(held.at_the_end(), IsEmpty());
}

TEST(HeldErrors, SeveralFaultsOfEveryWorkerAreEachShownOnce) {
  Held held;
  for (const int rank : {0, 1}) {
    held.say(rank, "line 17 is bad");
    held.say(rank, "line 18 is bad");
    held.errors.ended(rank, Because::own);
  }
  EXPECT_THAT(held.after(milliseconds(300)),
              ElementsAre("0,1, line 17 is bad", "0,1, line 18 is bad"));
}

TEST(HeldErrors, TooManyAreShownRatherThanKept) {
  Held held;
  for (int i = 0; i < 1500; ++i) held.say(0, std::to_string(i));
  const auto early = held.after(milliseconds(0));
  EXPECT_EQ(early.size(), 500U);
  EXPECT_EQ(early.front(), "0, 0");
  EXPECT_EQ(held.at_the_end().size(), 1000U);
}

}  // namespace
}  // namespace shoal

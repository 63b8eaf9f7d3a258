// Errors, checks, deadlines and element types: the small vocabulary that everything uses.
#include "shoal/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/core/check.h"
#include "shoal/core/deadline.h"
#include "shoal/core/element_type.h"

namespace shoal {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Errors, ContextKeepsTypeAndFields) {
  try {
    try {
      throw PeerLost("rank 2 is gone", {2});
    } catch (Error& error) {
      error.add_context("step 7");
      throw;
    }
  } catch (const PeerLost& lost) {
    EXPECT_STREQ(lost.what(), "step 7: rank 2 is gone");
    EXPECT_THAT(lost.lost, ElementsAre(2));
  }
}

TEST(Errors, InvalidInputListsEveryFault) {
  const InvalidInput two(std::vector<std::string>{"a", "b"});
  EXPECT_STREQ(two.what(), "a\nb");
  EXPECT_THAT(two.faults, ElementsAre("a", "b"));
  EXPECT_THAT(InvalidInput("a").faults, ElementsAre("a"));
  EXPECT_NO_THROW(require_none({}));
  EXPECT_THROW(require_none({"a"}), InvalidInput);
}

TEST(Errors, TimedOutNamesWhoIsMissing) {
  const TimedOut two("all_reduce #182 of group data", std::vector<int>{1, 3}, milliseconds(500));
  EXPECT_STREQ(two.what(), "ranks 1, 3 have not joined all_reduce #182 of group data after 500ms");
  const TimedOut one("barrier", {3}, milliseconds(30));
  EXPECT_STREQ(one.what(), "rank 3 has not joined barrier after 30ms");
  EXPECT_THAT(one.missing, ElementsAre(3));
}

TEST(Check, PrintsPlaceAndBothValues) {
  EXPECT_NO_THROW(check(true, "fine"));
  EXPECT_NO_THROW(check_equal(1, 1, "fine"));
  try {
    check_equal(2, 3, "parts");
    FAIL() << "accepted";
  } catch (const BrokenInvariant& broken) {
    EXPECT_THAT(broken.what(), HasSubstr("error_test.cc:"));
    EXPECT_THAT(broken.what(), HasSubstr("parts: 2 is not 3"));
  }
}

TEST(Deadline, NeverNeverPasses) {
  const Deadline never = Deadline::never();
  EXPECT_FALSE(never.passed());
  EXPECT_EQ(never.left(), hours(24));
  EXPECT_FALSE(Deadline::after(std::chrono::nanoseconds::max()).passed());
}

TEST(Deadline, APassedOneLeavesNothing) {
  for (const auto duration : {milliseconds(0), milliseconds(-5)}) {
    const Deadline past = Deadline::after(duration);
    EXPECT_TRUE(past.passed());
    EXPECT_EQ(past.left(), milliseconds(0));
  }
  const Deadline later = Deadline::after(hours(2));
  EXPECT_FALSE(later.passed());
  EXPECT_GT(later.left(), hours(1));
  EXPECT_LE(later.left(), hours(2));
  EXPECT_LE(Deadline::after(hours(1000)).left(), hours(24));
}

TEST(ElementTypes, HaveSizesAndNames) {
  EXPECT_EQ(size_of(ElementType::float64), 8u);
  EXPECT_EQ(size_of(ElementType::float32), 4u);
  EXPECT_EQ(size_of(ElementType::bfloat16), 2u);
  EXPECT_EQ(size_of(ElementType::boolean), 1u);
  EXPECT_EQ(name_of(ElementType::bfloat16), "bfloat16");
  EXPECT_EQ(name_of(ElementType::boolean), "bool");
}

TEST(Deadline, TakesSecondsWithAFraction) {
  const Deadline deadline = Deadline::after_seconds(100.5);
  EXPECT_GT(deadline.left(), std::chrono::milliseconds(100'000));
  EXPECT_LE(deadline.left(), std::chrono::milliseconds(100'500));
  EXPECT_TRUE(Deadline::after_seconds(0).passed());
}

}  // namespace
}  // namespace shoal

#include "shoal/data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(SplitRows, GivesEveryRowToOnePartOnly) {
  for (const std::int64_t n : {3, 10, 1'000}) {
    const Split split = split_rows(n, 0.2, 0.1, 5, "x");
    std::vector<int> seen(static_cast<std::size_t>(n));
    for (const auto* rows : {&split.train, &split.validation, &split.test}) {
      EXPECT_TRUE(std::is_sorted(rows->begin(), rows->end()));
      for (const std::int64_t row : *rows) ++seen.at(static_cast<std::size_t>(row));
    }
    EXPECT_THAT(seen, testing::Each(1)) << n;
  }
}

TEST(SplitRows, TakesFractionsAndNumbers) {
  const Split fractions = split_rows(1'000, 0.25, 0.001, 5, "x");
  EXPECT_EQ(fractions.test.size(), 250u);
  EXPECT_EQ(fractions.validation.size(), 1u);
  const Split numbers = split_rows(1'000, 1, 300, 5, "x");
  EXPECT_EQ(numbers.test.size(), 1u);
  EXPECT_EQ(numbers.validation.size(), 300u);
  EXPECT_EQ(numbers.train.size(), 699u);
  const Split whole = split_rows(4, 0, 0, 5, "x");
  EXPECT_THAT(whole.train, testing::ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(whole.validation, IsEmpty());
  EXPECT_EQ(split_rows(10, 0, 0.001, 5, "x").validation.size(), 1u);  // asked for, so not none
}

TEST(SplitRows, DependsOnTheSeedAndKeepsTheTestWhateverTheValidation) {
  const Split one = split_rows(1'000, 0.2, 0.1, 5, "x");
  EXPECT_EQ(one.validation, split_rows(1'000, 0.2, 0.1, 5, "x").validation);
  EXPECT_NE(one.validation, split_rows(1'000, 0.2, 0.1, 6, "x").validation);
  EXPECT_EQ(one.test, split_rows(1'000, 0.2, 0.3, 5, "x").test);
}

TEST(SplitRows, RefusesToLeaveNothing) {
  EXPECT_THAT(refusal([] { split_rows(10, 4, 6, 5, "iris"); }),
              AllOf(StartsWith("InvalidInput: iris has 10 samples: 4 for the test and 6"),
                    HasSubstr("data.validation")));
  EXPECT_NE(refusal([] { split_rows(10, 1e15, 0, 5, "iris"); }), "");
  EXPECT_NE(refusal([] { split_rows(1, 0.5, 0, 5, "iris"); }), "");
  EXPECT_EQ(split_rows(10, 4, 5, 5, "iris").train.size(), 1u);
}

}  // namespace
}  // namespace shoal

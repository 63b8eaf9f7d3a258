#include "shoal/program/processor_sharing.h"

#include <gmock/gmock.h>

#include <utility>

#include "shoal/core/check.h"

namespace shoal {
namespace {

constexpr int kPrivate = ProcessorSharing::kPrivate;

std::vector<std::pair<int, double>> all_ends(ProcessorSharing& sharing) {
  std::vector<std::pair<int, double>> ends;
  while (const auto tag = sharing.next_end()) ends.emplace_back(*tag, sharing.now());
  return ends;
}

// NOLINTNEXTLINE(readability-identifier-naming): matchers are named as gmock names its own
MATCHER_P2(Ends, tag, time, "") {
  return arg.first == tag && std::abs(arg.second - time) <= 1e-12 * (1 + time);
}

TEST(ProcessorSharing, ServesOneWorkAtFullCapacity) {
  ProcessorSharing sharing({4});
  sharing.add(0, 10, 7);
  EXPECT_THAT(all_ends(sharing), testing::ElementsAre(Ends(7, 2.5)));
}

TEST(ProcessorSharing, HalvesTheRateForTwo) {
  ProcessorSharing sharing({1});
  sharing.add(0, 1, 1);
  sharing.add(0, 3, 2);
  // Both at 1/2 until 2, when the second has 2 left and the resource for itself.
  EXPECT_THAT(all_ends(sharing), testing::ElementsAre(Ends(1, 2), Ends(2, 4)));
}

TEST(ProcessorSharing, SlowsARunningWorkWhenAnotherComes) {
  ProcessorSharing sharing({1, 1});
  sharing.add(0, 4, 1);
  sharing.add(kPrivate, 2, 9);  // at 2 something begins
  EXPECT_EQ(sharing.next_end(), 9);
  sharing.add(0, 1, 2);
  EXPECT_THAT(all_ends(sharing), testing::ElementsAre(Ends(2, 4), Ends(1, 5)));
}

TEST(ProcessorSharing, KeepsResourcesApart) {
  ProcessorSharing sharing({1, 10});
  sharing.add(0, 1, 1);
  sharing.add(1, 1, 2);
  EXPECT_THAT(all_ends(sharing), testing::ElementsAre(Ends(2, 0.1), Ends(1, 1)));
}

TEST(ProcessorSharing, NeverSharesPrivateSeconds) {
  ProcessorSharing sharing({});
  sharing.add(kPrivate, 2, 1);
  sharing.add(kPrivate, 2, 2);
  sharing.add(kPrivate, 1, 3);
  EXPECT_THAT(all_ends(sharing), testing::ElementsAre(Ends(3, 1), Ends(1, 2), Ends(2, 2)));
}

TEST(ProcessorSharing, EndsEqualWorksTogetherInTheirOrder) {
  ProcessorSharing sharing({3});
  for (int tag = 0; tag < 7; ++tag) sharing.add(0, 1.0 / 3, tag);
  const auto ends = all_ends(sharing);
  ASSERT_EQ(ends.size(), 7U);
  for (int tag = 0; tag < 7; ++tag) EXPECT_THAT(ends[tag], Ends(tag, 7.0 / 9));
}

TEST(ProcessorSharing, DoesAllWorkHoweverItArrives) {
  // 1,000 works of sizes 1..7 on one resource that is never idle end with the sum of all.
  ProcessorSharing sharing({2});
  double sum = 0;
  int ended = 0;
  for (int i = 0; i < 500; ++i) {
    sharing.add(0, 1 + i % 7, i);
    sum += 1 + i % 7;
  }
  while (sharing.next_end()) {
    if (++ended <= 500) {
      sharing.add(0, 1 + ended % 5, 1000 + ended);
      sum += 1 + ended % 5;
    }
  }
  EXPECT_EQ(ended, 1000);
  EXPECT_NEAR(sharing.now(), sum / 2, 1e-6);
}

TEST(ProcessorSharing, RefusesACapacityOfZero) {
  EXPECT_THROW(ProcessorSharing({1, 0}), BrokenInvariant);
}

}  // namespace
}  // namespace shoal

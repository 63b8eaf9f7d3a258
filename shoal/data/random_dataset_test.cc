#include "shoal/data/random_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::Each;
using testing::ElementsAreArray;

RandomDatasetOptions classes_of(std::int64_t classes, std::string part = "train") {
  return {.name = "random",
          .part = std::move(part),
          .seed = 3,
          .size = 600,
          .sample_shape = {1, 4, 5},
          .classes = classes};
}

TEST(RandomDataset, DependsOnSeedPartAndNumberOnly) {
  const RandomDataset data(classes_of(5));
  const Batch all = read_all(data);
  Batch one;
  data.read(std::vector<std::int64_t>{42, 7}, one);
  EXPECT_THAT(one.floats().first(20), ElementsAreArray(all.floats().subspan(840, 20)));
  EXPECT_EQ(one.labels[1], all.labels[7]);
  RandomDatasetOptions other = classes_of(5);
  other.seed = 4;
  EXPECT_NE(read_all(RandomDataset(other)).labels, all.labels);
  EXPECT_NE(read_all(RandomDataset(classes_of(5, "test"))).labels, all.labels);
}

// What is learnt on one part holds on the other: the nearest mean of the training part's classes
// names nearly all of the test part.
TEST(RandomDataset, CanBeLearnt) {
  constexpr std::size_t kElements = 20;
  const Batch train = read_all(RandomDataset(classes_of(5)));
  std::vector<std::vector<double>> mean(5, std::vector<double>(kElements));
  std::vector<double> count(5);
  for (std::size_t i = 0; i < train.labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(train.labels[i]);
    ++count[label];
    for (std::size_t j = 0; j < kElements; ++j) {
      mean[label][j] += double{train.floats()[i * kElements + j]};
    }
  }
  EXPECT_THAT(count, Each(testing::Gt(80)));
  const Batch test = read_all(RandomDataset(classes_of(5, "test")));
  int right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) {
    std::vector<double> distance(5);
    for (std::size_t c = 0; c < 5; ++c) {
      for (std::size_t j = 0; j < kElements; ++j) {
        const double gap = mean[c][j] / count[c] - double{test.floats()[i * kElements + j]};
        distance[c] += gap * gap;
      }
    }
    const auto nearest = std::min_element(distance.begin(), distance.end()) - distance.begin();
    right += nearest == test.labels[i];
  }
  EXPECT_GT(right, 560);  // of 600; guessing gives 120
}

TEST(RandomDataset, GivesALinearTargetForRegression) {
  const Batch batch = read_all(RandomDataset(classes_of(0)));
  ASSERT_EQ(batch.targets.size(), 600u);
  EXPECT_TRUE(batch.labels.empty());
  double squares = 0;
  for (const float target : batch.targets) squares += double{target} * double{target};
  EXPECT_NEAR(squares / 600, 1, 0.4);
  double variance = 0;
  for (const float value : batch.floats()) variance += double{value} * double{value};
  EXPECT_NEAR(variance / 12'000, 1, 0.05);
}

}  // namespace
}  // namespace shoal

#include <gmock/gmock.h>

#include "shoal/core/check.h"
#include "shoal/model/test_blocks.h"

namespace shoal {
namespace {

using testing::block_of;
using Json = nlohmann::json;

// What is kept of ones: the mask of samples `ids` in `step`.
at::Tensor mask(Block& block, const Shape& sample, const std::vector<std::int64_t>& ids,
                std::int64_t step = 0, ForwardMode mode = ForwardMode::train,
                at::ScalarType type = at::kFloat) {
  Shape shape{static_cast<std::int64_t>(ids.size())};
  shape.insert(shape.end(), sample.begin(), sample.end());
  Context context;
  context.mode = mode;
  context.seed = 3;
  context.step = step;
  context.sample_ids = &ids;
  return block.forward(Activations(at::ones(shape, type)), context).only();
}

TEST(Dropout, KeepsTheRightShareAndTheExpectation) {
  const auto block = block_of({{"dropout", 0.2}}, {10'000}, at::kFloat);
  const at::Tensor kept = mask(*block, {10'000}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const double share = kept.ne(0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.8, 5 * std::sqrt(0.2 * 0.8 / 1e5));
  EXPECT_EQ(kept.max().item<float>(), 1.25F);
}

TEST(Dropout, MaskOfASampleDoesNotDependOnItsNeighbours) {
  const auto block = block_of({{"dropout", 0.5}}, {3, 5}, at::kFloat);
  const at::Tensor all = mask(*block, {3, 5}, {10, 11, 12, 13, 14});
  EXPECT_TRUE(at::equal(mask(*block, {3, 5}, {10, 11}), all.slice(0, 0, 2)));
  EXPECT_TRUE(at::equal(mask(*block, {3, 5}, {14, 12}), at::stack({all[4], all[2]})));
  EXPECT_FALSE(at::equal(all[0], all[1]));
}

TEST(Dropout, IsTheSameWhenRecomputedAndAnotherInTheNextStep) {
  const auto block = block_of({{"dropout", 0.5}}, {64}, at::kFloat);
  const at::Tensor first = mask(*block, {64}, {0, 1}, 5);
  EXPECT_TRUE(at::equal(mask(*block, {64}, {0, 1}, 5, ForwardMode::recompute), first));
  EXPECT_TRUE(at::equal(mask(*block, {64}, {0, 1}, 5, ForwardMode::no_save), first));
  EXPECT_FALSE(at::equal(mask(*block, {64}, {0, 1}, 6), first));
  const auto doubles = block_of({{"dropout", 0.5}}, {64}, at::kDouble);
  EXPECT_TRUE(at::equal(
      mask(*doubles, {64}, {0, 1}, 5, ForwardMode::train, at::kDouble).to(at::kFloat), first));
}

TEST(Dropout, DoesNothingInEvaluationAndAtRateZero) {
  const auto block = block_of({{"dropout", 0.5}}, {64}, at::kFloat);
  EXPECT_EQ(mask(*block, {64}, {0}, 0, ForwardMode::evaluate).sum().item<float>(), 64);
  EXPECT_EQ(mask(*block_of({{"dropout", 0}}, {64}, at::kFloat), {64}, {0}).sum().item<float>(), 64);
}

TEST(Dropout, LayersOfOneBlockHaveMasksOfTheirOwn) {
  const auto one = block_of({{{"dropout", 0.5}}}, {256}, at::kFloat);
  const auto two = block_of({{{"dropout", 0.5}}, {{"dropout", 0.5}}}, {256}, at::kFloat);
  const at::Tensor twice = mask(*two, {256}, {0});
  // Equal masks would keep a half; independent ones keep a quarter.
  EXPECT_NEAR(twice.ne(0).to(at::kFloat).mean().item<float>(), 0.25, 0.15);
  EXPECT_EQ(twice.max().item<float>(), 4);
  EXPECT_NEAR(mask(*one, {256}, {0}).ne(0).to(at::kFloat).mean().item<float>(), 0.5, 0.2);
}

TEST(ChannelDropout, DropsWholeChannels) {
  const auto block = block_of({{"dropout2d", 0.5}}, {400, 3, 3}, at::kFloat);
  const at::Tensor kept = mask(*block, {400, 3, 3}, {0, 1, 2}).reshape({3, 400, 9});
  EXPECT_TRUE(at::equal(std::get<0>(kept.max(2)), std::get<0>(kept.min(2))));
  EXPECT_NEAR(kept.ne(0).to(at::kFloat).mean().item<float>(), 0.5, 0.1);
}

TEST(Dropout, GradientPassesWhereTheSampleWasKept) {
  for (const Json& entry :
       {Json{{"dropout", 0.5}}, Json(std::vector<Json>{{{"linear", 8}}, {{"dropout", 0.5}}})}) {
    const auto block = block_of(entry, {8}, at::kDouble);
    const testing::Samples samples(2);
    const at::Tensor x = at::ones({2, 8}, at::kDouble).requires_grad_();
    const at::Tensor y = block->forward(Activations(x), samples.context).only();
    y.sum().backward();
    ASSERT_TRUE(x.grad().defined());
    if (entry.is_object()) {
      EXPECT_TRUE(at::equal(x.grad(), y));
    }
  }
}

TEST(Dropout, NeedsTheSamplesIndices) {
  const auto block = block_of({{"dropout", 0.5}}, {8}, at::kFloat);
  EXPECT_THROW(block->forward(Activations(at::ones({2, 8})), Context{}), BrokenInvariant);
  const testing::Samples three(3);
  EXPECT_THROW(block->forward(Activations(at::ones({2, 8})), three.context), BrokenInvariant);
}

TEST(WaitLayer, SleepsForwardAndBackwardAndChangesNothing) {
  using Clock = std::chrono::steady_clock;
  const auto block = block_of({{"wait", 20}, {"backward", 30}}, {4});
  EXPECT_EQ(block->waits().forward, 0.020);
  EXPECT_EQ(block->waits().backward, 0.030);
  EXPECT_EQ(block_of({{"wait", 20}}, {4})->waits().backward, 0.020);
  const at::Tensor x = at::rand({2, 4}, at::kDouble).requires_grad_();
  const auto start = Clock::now();
  const at::Tensor y = testing::run(*block, x);
  const auto middle = Clock::now();
  y.sum().backward();
  EXPECT_GE(middle - start, std::chrono::milliseconds(20));
  EXPECT_GE(Clock::now() - middle, std::chrono::milliseconds(30));
  EXPECT_TRUE(at::equal(x, y));
  EXPECT_TRUE(at::equal(x.grad(), at::ones_like(x)));
}

}  // namespace
}  // namespace shoal

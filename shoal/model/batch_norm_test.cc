// Batch norm over ranks against LibTorch's over the whole batch.
#include "shoal/model/batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <mutex>
#include <numeric>

#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/model/recorder.h"
#include "shoal/model/test_blocks.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OverGroup final : public BatchSums {
 public:
  explicit OverGroup(Group& group) : group_(group) {}
  void sum(at::Tensor& values) override {
    ++calls;
    const Buffer all = buffer_of(values);
    group_.all_reduce(std::span(&all, 1), ReduceOp::sum, Deadline::after_seconds(30));
  }
  int calls = 0;

 private:
  Group& group_;
};

// What one batch gives: output, gradients of input and weights, running statistics.
struct Found {
  at::Tensor y, of_x, of_weight, of_bias, mean, variance;
};

struct Batch4 {
  at::Tensor x, weight, bias, of_y;
};

Batch4 batch_of(const std::vector<std::int64_t>& shape, at::ScalarType type) {
  at::manual_seed(3);
  const auto channels = shape[1];
  return {.x = (at::randn(shape, at::kDouble) * 3 + 20).to(type),
          .weight = at::randn({channels}, at::kDouble).to(type),
          .bias = at::randn({channels}, at::kDouble).to(type),
          .of_y = at::randn(shape, at::kDouble).to(type)};
}

at::Tensor leaf(const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(); }

Found whole(const Batch4& batch) {
  const at::Tensor x = leaf(batch.x), weight = leaf(batch.weight), bias = leaf(batch.bias);
  const at::Tensor mean = at::zeros_like(batch.weight), variance = at::ones_like(batch.weight);
  const at::Tensor y = at::batch_norm(x, weight, bias, mean, variance, true, 0.2, 1e-5, false);
  y.backward(batch.of_y);
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), mean, variance};
}

// The same with sizes[i] samples on rank i; outputs put together again, weights' gradients summed.
Found over_ranks(const Batch4& batch, const std::vector<std::int64_t>& sizes) {
  const auto ranks = static_cast<int>(sizes.size());
  std::vector<Found> parts(sizes.size());
  run_ranks(ranks, {}, [&](World& world) {
    const auto rank = static_cast<std::size_t>(world.rank());
    std::vector<int> all(sizes.size());
    std::iota(all.begin(), all.end(), 0);
    const auto group = world.form_group("batch", all, Deadline::after_seconds(30));
    OverGroup sums(*group);
    const auto begin = std::accumulate(sizes.begin(), sizes.begin() + world.rank(), 0L);
    const auto own = [&](const at::Tensor& t) { return t.slice(0, begin, begin + sizes[rank]); };
    const at::Tensor x = leaf(own(batch.x)), weight = leaf(batch.weight), bias = leaf(batch.bias);
    const at::Tensor mean = at::zeros_like(batch.weight), variance = at::ones_like(batch.weight);
    const at::Tensor y = batch_norm_over_ranks(
        x, weight, bias, 1e-5, sums, {.mean = mean, .variance = variance, .momentum = 0.2});
    y.backward(own(batch.of_y));
    EXPECT_EQ(sums.calls, 2);
    parts[rank] = {y.detach(), x.grad(), weight.grad(), bias.grad(), mean, variance};
  });
  Found found = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    found.y = at::cat({found.y, parts[i].y});
    found.of_x = at::cat({found.of_x, parts[i].of_x});
    found.of_weight = found.of_weight + parts[i].of_weight;
    found.of_bias = found.of_bias + parts[i].of_bias;
    EXPECT_TRUE(at::equal(found.mean, parts[i].mean)) << "the same bits on all ranks";
    EXPECT_TRUE(at::equal(found.variance, parts[i].variance));
  }
  return found;
}

void expect_close(const Found& a, const Found& b, double tolerance) {
  const auto gap = [](const at::Tensor& x, const at::Tensor& y) {
    return ((x - y).to(at::kDouble).norm() / y.to(at::kDouble).norm()).item<double>();
  };
  EXPECT_LT(gap(a.y, b.y), tolerance);
  EXPECT_LT(gap(a.of_x, b.of_x), tolerance);
  EXPECT_LT(gap(a.of_weight, b.of_weight), tolerance);
  EXPECT_LT(gap(a.of_bias, b.of_bias), tolerance);
  EXPECT_LT(gap(a.mean, b.mean), tolerance);
  EXPECT_LT(gap(a.variance, b.variance), tolerance);
}

TEST(BatchNormOverRanks, IsThatOfTheWholeBatchHoweverItIsCut) {
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{9, 5, 4, 3}, std::vector<std::int64_t>{9, 5}}) {
    for (const auto& sizes :
         std::vector<std::vector<std::int64_t>>{{9}, {5, 4}, {1, 8}, {4, 0, 5}, {1, 1, 0, 7}}) {
      SCOPED_TRACE(::testing::PrintToString(sizes));
      const Batch4 doubles = batch_of(shape, at::kDouble);
      expect_close(over_ranks(doubles, sizes), whole(doubles), 1e-12);
      const Batch4 floats = batch_of(shape, at::kFloat);
      expect_close(over_ranks(floats, sizes), whole(floats), 1e-4);
    }
  }
}

TEST(BatchNormOverRanks, TakesPicturesWithChannelsLast) {
  Batch4 batch = batch_of({8, 6, 5, 5}, at::kDouble);
  const Found expected = whole(batch);
  batch.x = batch.x.contiguous(at::MemoryFormat::ChannelsLast);
  expect_close(over_ranks(batch, {3, 5}), expected, 1e-12);
}

TEST(BatchNormOverRanks, TakesBfloat16BetweenFloat32Weights) {
  Batch4 batch = batch_of({16, 4, 4, 4}, at::kFloat);
  const Found expected = whole(batch);
  batch.x = batch.x.to(at::kBFloat16);
  batch.of_y = batch.of_y.to(at::kBFloat16);
  const Found found = over_ranks(batch, {7, 9});
  EXPECT_EQ(found.y.scalar_type(), at::kBFloat16);
  EXPECT_EQ(found.of_weight.scalar_type(), at::kFloat);
  EXPECT_LT((found.y - expected.y).norm().item<double>(), 0.05 * expected.y.norm().item<double>());
  EXPECT_LT((found.of_x - expected.of_x).norm().item<double>(),
            0.05 * expected.of_x.norm().item<double>());
}

TEST(BatchNormOverRanks, MeetsTheOthersInBackwardThoughNothingOfItsOwnIsTrained) {
  run_ranks(1, {}, [&](World& world) {
    const auto group = world.form_group("batch", {0}, Deadline::after_seconds(30));
    OverGroup sums(*group);
    const Batch4 batch = batch_of({4, 3}, at::kDouble);
    const at::Tensor y = batch_norm_over_ranks(batch.x, batch.weight, batch.bias, 1e-5, sums, {});
    y.sum().backward();
    EXPECT_EQ(sums.calls, 2);
  });
}

TEST(BatchNormOverRanks, RefusesOneValuePerChannelInTheWholeBatch) {
  run_ranks(2, {}, [&](World& world) {
    const auto group = world.form_group("batch", {0, 1}, Deadline::after_seconds(30));
    OverGroup sums(*group);
    const at::Tensor x = at::ones({world.rank(), 3}), w = at::ones({3});
    EXPECT_THAT(testing::refusal([&] { batch_norm_over_ranks(x, w, w, 1e-5, sums, {}); }),
                HasSubstr("one value per channel in the whole batch"));
  });
}

TEST(Recorder, KnowsWhatABlockSumsOverTheBatch) {
  const auto facts_of = [](const char* layers) {
    const Chain chain(layer_list(nlohmann::json::parse(layers), {3, 4, 4}).blocks,
                      LossKind::cross_entropy);
    return record_facts(chain, {{.name = "x", .sample_shape = {3, 4, 4}}}, {}).front();
  };
  const BlockFacts global = facts_of(R"([[{"batch_norm": true, "global": true}, "relu"]])");
  EXPECT_THAT(global.forward_sums, ElementsAre(BatchSumFacts{.elements = 7}));
  EXPECT_THAT(global.backward_sums, ElementsAre(BatchSumFacts{.elements = 6}));
  EXPECT_FALSE(facts_of(R"(["batch_norm"])").sums_over_batch());
}

// Its sums depend on its samples.
class SumsAsItLikes final : public Block {
 public:
  Activations forward(const Activations& input, const Context& context) override {
    at::Tensor values = at::zeros({input.only().size(0)}, at::kDouble);
    if (context.batch_sums != nullptr) context.batch_sums->sum(values);
    return Activations(input.only() * 1);
  }
};

TEST(Recorder, RefusesSumsThatDependOnTheNumberOfSamples) {
  const Chain chain(
      {{.name = "odd", .kind = "odd", .build = [] { return std::make_shared<SumsAsItLikes>(); }}},
      LossKind::cross_entropy);
  EXPECT_THAT(
      testing::refusal([&] { record_facts(chain, {{.name = "x", .sample_shape = {3}}}, {}); }),
      HasSubstr("what it sums over the batch depends on the number of its samples"));
}

}  // namespace
}  // namespace shoal

#include "shoal/model/chain.h"

#include <gmock/gmock.h>

#include <thread>

#include "shoal/model/test_blocks.h"
#include "shoal/model/zoo.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

Chain chain_of(const nlohmann::json& layers, const Shape& input) {
  return Chain(layer_list(layers, input).blocks, LossKind::cross_entropy);
}

TEST(Activations, NameWhatThereIs) {
  Activations two;
  two.add("ids", at::zeros({1}));
  two.add("mask", at::ones({1}));
  EXPECT_EQ(two.at("mask").item<float>(), 1);
  EXPECT_THAT(refusal([&] { two.at("masks"); }), HasSubstr("'masks': there is ids, mask"));
  EXPECT_THAT(refusal([&] { two.only(); }), HasSubstr("got 2: [ids, mask]"));
  EXPECT_THAT(refusal([] { Activations().at("x"); }), HasSubstr("there is none"));
}

TEST(Chain, NamesTensorsByBlockAndLayer) {
  const Chain chain =
      chain_of({{{"linear", 4}}, {{{"linear", 4}}, "relu", {{"linear", 3}}}, "batch_norm"}, {5});
  EXPECT_THAT(testing::names_of(chain, 0), ElementsAre("0.linear.bias", "0.linear.weight"));
  EXPECT_THAT(testing::names_of(chain, 1),
              ElementsAre("1.linear.linear.bias", "1.linear.linear.weight",
                          "1.linear.linear_2.bias", "1.linear.linear_2.weight"));
  EXPECT_THAT(testing::names_of(chain, 2),
              ElementsAre("2.batch_norm.bias", "2.batch_norm.running_mean (buffer)",
                          "2.batch_norm.running_var (buffer)", "2.batch_norm.weight"));
}

TEST(Chain, InitialValuesDependOnSeedAndNameOnly) {
  const Chain chain = chain_of({{{"linear", 40}}, {{"linear", 40}}}, {40});
  const auto weight = [&](int index, std::uint64_t seed, at::ScalarType type) {
    return testing::tensor_of(*chain.build(index, seed, type), "weight");
  };
  const at::Tensor reference = weight(0, 1, at::kFloat);
  EXPECT_TRUE(at::equal(weight(0, 1, at::kFloat), reference));
  EXPECT_FALSE(at::equal(weight(1, 1, at::kFloat), reference));
  EXPECT_FALSE(at::equal(weight(0, 2, at::kFloat), reference));
  EXPECT_TRUE(at::equal(weight(0, 1, at::kDouble), reference.to(at::kDouble)));
  EXPECT_EQ(weight(0, 1, at::kDouble).scalar_type(), at::kDouble);
}

TEST(Chain, InitialValuesFillTorchsRange) {
  const auto block = testing::block_of({{"linear", 500}}, {100}, at::kFloat);
  for (const std::string name : {"weight", "bias"}) {
    const at::Tensor values = testing::tensor_of(*block, name);
    EXPECT_LE(values.abs().max().item<double>(), 0.1 + 1e-6) << name;
    EXPECT_GT(values.max().item<double>(), 0.098) << name;
    EXPECT_LT(values.min().item<double>(), -0.098) << name;
    EXPECT_NEAR(values.mean().item<double>(), 0, 0.01) << name;
  }
  const auto keras = testing::block_of({{"linear", 50}, {"glorot", true}}, {100}, at::kFloat);
  EXPECT_EQ(testing::tensor_of(*keras, "bias").abs().sum().item<float>(), 0);
  EXPECT_NEAR(testing::tensor_of(*keras, "weight").abs().max().item<double>(), 0.2, 0.002);
}

TEST(Chain, BuildsInSeveralThreadsAtOnce) {
  const Chain chain = chain_of({{{"linear", 30}}}, {30});
  const at::Tensor expected = testing::tensor_of(*chain.build(0, 1, at::kFloat), "weight");
  std::vector<at::Tensor> built(4);
  {
    std::vector<std::jthread> threads;
    for (auto& tensor : built) {
      threads.emplace_back(
          [&] { tensor = testing::tensor_of(*chain.build(0, 1, at::kFloat), "weight"); });
    }
  }
  for (const auto& tensor : built) {
    EXPECT_TRUE(at::equal(tensor, expected));
    EXPECT_FALSE(tensor.is_alias_of(expected));
  }
}

TEST(Chain, RefusesTypesThatCannotBeTrained) {
  const Chain chain = chain_of({{{"linear", 3}}}, {3});
  EXPECT_THAT(refusal([&] { chain.build(0, 0, at::kBFloat16); }), HasSubstr("float32 or float64"));
}

// A block written by a user: the standard initial values reach it.
struct OwnBlock : Block {
  OwnBlock() {
    register_parameter("weight", torch::full({4, 9}, 5.0));
    register_parameter("scale", torch::full({4}, 5.0));
    register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({4})));
  }
  Activations forward(const Activations& input, const Context&) override { return input; }
};

TEST(Block, HasStandardInitialValuesAndDims) {
  const Chain chain(
      {{.name = "0.own", .kind = "own", .build = [] { return std::make_shared<OwnBlock>(); }}},
      LossKind::mean_squared);
  const auto block = chain.build(0, 1, at::kFloat);
  EXPECT_LE(testing::tensor_of(*block, "weight").abs().max().item<double>(), 1.0 / 3 + 1e-6);
  EXPECT_EQ(testing::tensor_of(*block, "scale").sum().item<float>(), 0);
  EXPECT_EQ(testing::tensor_of(*block, "norm.weight").sum().item<float>(), 4);
  EXPECT_THAT(block->dims_of("weight"), ElementsAre("", ""));
  EXPECT_THAT(refusal([&] { block->dims_of("wait"); }), HasSubstr("no tensor 'wait'"));
}

TEST(LossSums, CrossEntropyIsASumWithAWeight) {
  const at::Tensor logits = torch::tensor({{2.0, 0.0, 0.0}, {0.0, 1.0, 0.0}}, at::kDouble);
  const auto sums = loss_sums(LossKind::cross_entropy, logits, torch::tensor({0, 2}), true);
  const double first = std::log(std::exp(2.0) + 2) - 2;
  const double second = std::log(std::exp(1.0) + 2);
  EXPECT_NEAR(sums.loss.item<double>(), first + second, 1e-12);
  EXPECT_EQ(sums.weight, 2);
  EXPECT_EQ(sums.correct, 1);
  const auto bytes =
      loss_sums(LossKind::cross_entropy, logits, torch::tensor({0, 2}).to(at::kByte), false);
  EXPECT_EQ(bytes.loss.item<double>(), sums.loss.item<double>());
}

TEST(LossSums, PartsAddUpAndMayBeEmpty) {
  const at::Tensor logits = torch::rand({5, 4}, at::kDouble);
  const at::Tensor labels = torch::tensor({0, 1, 2, 3, 0});
  const auto part = [&](int begin, int end) {
    return loss_sums(LossKind::cross_entropy, logits.slice(0, begin, end),
                     labels.slice(0, begin, end), true);
  };
  const auto all = part(0, 5);
  EXPECT_NEAR(part(0, 2).loss.item<double>() + part(2, 5).loss.item<double>(),
              all.loss.item<double>(), 1e-12);
  EXPECT_EQ(part(0, 2).correct + part(2, 5).correct, all.correct);
  EXPECT_EQ(part(0, 0).loss.item<double>(), 0);
  EXPECT_EQ(part(0, 0).weight, 0);
}

TEST(LossSums, OfMixturesIsTheSumByShares) {
  const at::Tensor logits =
      torch::tensor({{2.0, 0.0, 0.5}, {0.0, 1.0, 3.0}, {0.3, 0.2, 0.1}}, at::kDouble)
          .requires_grad_(true);
  const at::Tensor own = torch::tensor({0, 0, 1});
  const at::Tensor other = torch::tensor({1, 2, 1});
  const auto plain = [&](const at::Tensor& labels, int row) {
    return loss_sums(LossKind::cross_entropy, logits.slice(0, row, row + 1),
                     labels.slice(0, row, row + 1), false)
        .loss.item<double>();
  };
  const std::vector<double> shares{0.75, 0.25, 0.5};
  const auto mixed = loss_sums(LossKind::cross_entropy, logits, own, true,
                               {.classes = other, .shares = torch::tensor(shares, at::kDouble)});
  double expected = 0;
  for (int row = 0; row < 3; ++row) {
    const double share = shares[static_cast<std::size_t>(row)];
    expected += share * plain(own, row) + (1 - share) * plain(other, row);
  }
  EXPECT_NEAR(mixed.loss.item<double>(), expected, 1e-12);
  EXPECT_EQ(mixed.weight, 3);
  // The larger share of the first is class 0, of the second class 2; the third has class 1 only.
  EXPECT_EQ(mixed.correct, 2);
  mixed.loss.backward();
  // The gradient is softmax - shares.
  const at::Tensor wanted = at::zeros({3, 3}, at::kDouble);
  const double targets[3][3] = {{0.75, 0.25, 0}, {0.25, 0, 0.75}, {0, 1, 0}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) wanted[i][j] = targets[i][j];
  }
  EXPECT_TRUE(at::allclose(logits.grad(), at::softmax(logits.detach(), 1) - wanted));
}

TEST(LossSums, OfMixturesNeedsClasses) {
  EXPECT_THAT(refusal([] {
                loss_sums(LossKind::mean_squared, at::zeros({2, 1}), at::zeros({2}), false,
                          {.classes = at::zeros({2}, at::kLong), .shares = at::ones({2})});
              }),
              HasSubstr("mixtures of classes: set [augment] mixup = 0"));
}

TEST(LossSums, MeanSquaredSumsOverColumnsAndTakesARowOfTargets) {
  const at::Tensor output = torch::tensor({{1.0F}, {3.0F}});
  const auto sums =
      loss_sums(LossKind::mean_squared, output, torch::tensor({0.0, 1.0}, at::kDouble), true);
  EXPECT_EQ(sums.loss.item<float>(), 5);
  EXPECT_EQ(sums.weight, 2);
  EXPECT_EQ(sums.correct, 0);
  const auto wide = loss_sums(LossKind::mean_squared, at::ones({2, 3}), at::zeros({2, 3}), false);
  EXPECT_EQ(wide.loss.item<float>(), 6);
}

TEST(LossSums, OfHalfTypesIsInFloat32) {
  const auto sums = loss_sums(LossKind::cross_entropy, at::zeros({300, 10}, at::kBFloat16),
                              at::zeros({300}, at::kLong), false);
  EXPECT_EQ(sums.loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(sums.loss.item<float>(), 300 * std::log(10.0), 1e-2);
}

TEST(LossSums, RefusesShapesThatDoNotMeet) {
  EXPECT_THAT(refusal([] {
                loss_sums(LossKind::cross_entropy, at::zeros({2, 3}), at::zeros({3}), false);
              }),
              HasSubstr("[2, 3] and [3]"));
  EXPECT_THAT(refusal([] {
                loss_sums(LossKind::mean_squared, at::zeros({2, 3}), at::zeros({2}), false);
              }),
              HasSubstr("[2, 3] and [2]"));
}

}  // namespace
}  // namespace shoal

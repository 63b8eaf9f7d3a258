// Modules written for torch::nn as chains.
#include <gmock/gmock.h>

#include <thread>

#include "shoal/model/recorder.h"
#include "shoal/model/test_blocks.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace nn = torch::nn;

struct Net : nn::Module {
  nn::Linear first{nullptr};
  nn::BatchNorm1d norm{nullptr};
  at::Tensor scale;
  Net() {
    first = register_module("first", nn::Linear(6, 4));
    norm = register_module("norm", nn::BatchNorm1d(4));
    scale = register_parameter("scale", torch::randn({4}));
  }
  at::Tensor forward(const at::Tensor& x) { return torch::relu(norm(first(x))) * scale; }
};

Chain net_chain() {
  return chain_of_module("net", [] { return std::make_shared<Net>(); });
}

std::vector<ActivationFacts> rows(std::int64_t features) {
  return {{.name = "x", .sample_shape = {features}}};
}

TEST(ChainOfModule, KeepsTheModulesNames) {
  EXPECT_THAT(testing::names_of(net_chain(), 0),
              ElementsAre("net.first.bias", "net.first.weight", "net.norm.bias",
                          "net.norm.num_batches_tracked (buffer)", "net.norm.running_mean (buffer)",
                          "net.norm.running_var (buffer)", "net.norm.weight", "net.scale"));
}

TEST(ChainOfModule, TakesAHolderOfAModule) {
  const Chain chain = chain_of_module("linear", [] { return nn::Linear(3, 2); });
  EXPECT_EQ(testing::run(*chain.build(0, 1, at::kFloat), at::ones({5, 3})).size(1), 2);
}

TEST(ChainOfModule, SameSeedSameWeightsAndTheProcessGeneratorStaysUntouched) {
  const Chain chain = net_chain();
  torch::manual_seed(11);
  const at::Tensor expected_next = torch::rand({3});
  torch::manual_seed(11);
  const auto a = chain.build(0, 5, at::kFloat);
  const auto b = chain.build(0, 5, at::kDouble);
  const auto c = chain.build(0, 6, at::kFloat);
  EXPECT_TRUE(at::equal(torch::rand({3}), expected_next));
  for (const std::string name : {"first.weight", "scale"}) {
    EXPECT_TRUE(
        at::equal(testing::tensor_of(*a, name).to(at::kDouble), testing::tensor_of(*b, name)));
    EXPECT_FALSE(at::equal(testing::tensor_of(*a, name), testing::tensor_of(*c, name))) << name;
  }
}

TEST(ChainOfModule, ManyThreadsBuildTheSameModule) {
  const Chain chain = net_chain();
  const at::Tensor expected = testing::tensor_of(*chain.build(0, 5, at::kFloat), "scale").clone();
  std::vector<at::Tensor> built(4);
  {
    std::vector<std::jthread> threads;
    for (auto& tensor : built) {
      threads.emplace_back(
          [&] { tensor = testing::tensor_of(*chain.build(0, 5, at::kFloat), "scale"); });
    }
  }
  for (const auto& tensor : built) EXPECT_TRUE(at::equal(tensor, expected));
}

TEST(ChainOfModule, TrainsThroughTheBlocksParameters) {
  const auto block = net_chain().build(0, 5, at::kDouble);
  const at::Tensor x = torch::rand({4, 6}, at::kDouble);
  testing::run(*block, x).sum().backward();
  at::Tensor scale = testing::tensor_of(*block, "scale");
  ASSERT_TRUE(scale.grad().defined());
  const at::Tensor before = testing::run(*block, x);
  {
    torch::NoGradGuard no_grad;
    scale.mul_(2);
  }
  EXPECT_TRUE(at::allclose(testing::run(*block, x), before * 2));
}

TEST(ChainOfModule, ModeFollowsTheContextAndRecomputingUpdatesNoStatistics) {
  const auto block = net_chain().build(0, 5, at::kDouble);
  const at::Tensor x = torch::rand({4, 6}, at::kDouble) * 3;
  const at::Tensor mean = testing::tensor_of(*block, "norm.running_mean");
  const at::Tensor trained = testing::run(*block, x);
  const at::Tensor once = mean.clone();
  EXPECT_GT(once.abs().sum().item<double>(), 0);
  const at::Tensor again = testing::run(*block, x, ForwardMode::recompute);
  EXPECT_TRUE(at::equal(again, trained));
  again.sum().backward();  // the buffers were put back before
  EXPECT_TRUE(at::equal(mean, once));
  EXPECT_FALSE(at::equal(testing::run(*block, x, ForwardMode::evaluate), trained));
  EXPECT_TRUE(at::equal(mean, once));
  // Training goes on after an evaluation.
  EXPECT_TRUE(at::equal(testing::run(*block, x), trained));
  EXPECT_FALSE(at::equal(mean, once));
}

nn::Sequential sequential() {
  return nn::Sequential(nn::Linear(6, 4), nn::ReLU(), nn::Dropout(0.5), nn::Linear(4, 3));
}

TEST(ChainOfSequential, MakesABlockOfEveryEntry) {
  const Chain chain = chain_of_sequential(sequential);
  ASSERT_EQ(chain.size(), 4u);
  EXPECT_THAT(testing::names_of(chain, 3), ElementsAre("3.linear.bias", "3.linear.weight"));
  EXPECT_THAT(testing::names_of(chain, 1), ElementsAre());
  EXPECT_EQ(chain.blocks()[2].name, "2.dropout");
}

TEST(ChainOfSequential, ComputesWhatTheSequentialDoes) {
  const Chain chain = chain_of_sequential(sequential);
  nn::Sequential twin = sequential();
  twin->to(torch::kDouble);
  twin->eval();
  at::Tensor x = torch::rand({5, 6}, at::kDouble);
  const at::Tensor input = x;
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 4; ++i) {
    const auto block = chain.build(i, 9, at::kDouble);
    for (auto& item : twin->ptr(i)->named_parameters()) {
      item.value().copy_(testing::tensor_of(*block, item.key()));
    }
    x = testing::run(*block, x, ForwardMode::evaluate);
  }
  EXPECT_TRUE(at::allclose(x, twin->forward(input), 1e-12));
}

TEST(ChainOfSequential, FactsSayWhoDrawsRandomNumbers) {
  torch::manual_seed(4);
  const at::Tensor expected_next = torch::rand({3});
  torch::manual_seed(4);
  const auto facts = record_facts(chain_of_sequential(sequential), rows(6), {});
  EXPECT_TRUE(at::equal(torch::rand({3}), expected_next));
  std::vector<bool> draws;
  for (const auto& block : facts) draws.push_back(block.draws_random_numbers);
  EXPECT_THAT(draws, ElementsAre(false, false, true, false));
}

TEST(ChainOfSequential, RefusesAnEmptyOne) {
  EXPECT_THAT(testing::refusal([] { chain_of_sequential([] { return nn::Sequential(); }); }),
              HasSubstr("no modules"));
}

// Two branches: the gradients of the branch that is used last are complete first.
struct Branching : nn::Module {
  nn::Linear early{nullptr}, late{nullptr}, unused{nullptr};
  Branching() {
    early = register_module("early", nn::Linear(4, 4));
    late = register_module("late", nn::Linear(4, 2));
    unused = register_module("unused", nn::Linear(4, 4));
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor hidden = early(x);
    return late(torch::relu(hidden) + torch::tanh(hidden) + x);
  }
};

TEST(ChainOfModule, FactsHoldTheOrderInWhichGradientsComplete) {
  const auto facts =
      record_facts(chain_of_module("b", [] { return std::make_shared<Branching>(); }), rows(4), {});
  ASSERT_EQ(facts.size(), 1u);
  std::vector<std::string> order;
  for (const int index : facts[0].gradient_order) order.push_back(facts[0].parameters[index].name);
  ASSERT_EQ(order.size(), 6u);
  EXPECT_THAT(std::vector(order.begin(), order.begin() + 2),
              ::testing::UnorderedElementsAre("b.late.bias", "b.late.weight"));
  EXPECT_THAT(std::vector(order.begin() + 2, order.begin() + 4),
              ::testing::UnorderedElementsAre("b.early.bias", "b.early.weight"));
  EXPECT_THAT(std::vector(order.begin() + 4, order.end()),
              ElementsAre("b.unused.bias", "b.unused.weight"));
}

}  // namespace
}  // namespace shoal

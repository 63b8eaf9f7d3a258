// Each layer against torch::nn's on the same weights, forward and backward.
#include <gmock/gmock.h>

#include "shoal/model/test_blocks.h"

namespace shoal {
namespace {

using testing::block_of;
using testing::run;
using testing::tensor_of;
using Json = nlohmann::json;
namespace nn = torch::nn;

at::Tensor random_input(const std::vector<std::int64_t>& shape) {
  return torch::rand(shape, torch::TensorOptions(torch::kDouble)) - 0.5;
}

// Copies the block's tensors into the twin and compares output, input gradient and all gradients.
template <typename Twin>
void expect_equal(Block& block, Twin twin, const at::Tensor& input) {
  twin->to(torch::kDouble);
  {
    torch::NoGradGuard no_grad;
    for (auto& item : twin->named_parameters()) item.value().copy_(tensor_of(block, item.key()));
  }
  const at::Tensor x = input.clone().requires_grad_();
  const at::Tensor y = input.clone().requires_grad_();
  const at::Tensor ours = run(block, x);
  const at::Tensor theirs = twin->forward(y);
  const at::Tensor weights = torch::rand_like(ours);
  (ours * weights).sum().backward();
  (theirs * weights).sum().backward();
  EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(x.grad(), y.grad(), 1e-12, 1e-12));
  for (auto& item : twin->named_parameters()) {
    EXPECT_TRUE(
        at::allclose(tensor_of(block, item.key()).grad(), item.value().grad(), 1e-12, 1e-12))
        << item.key();
  }
}

TEST(Layers, LinearIsTorchs) {
  expect_equal(*block_of({{"linear", 5}}, {7}), nn::Linear(7, 5), random_input({4, 7}));
  expect_equal(*block_of({{"linear", 5}, {"bias", false}}, {7}),
               nn::Linear(nn::LinearOptions(7, 5).bias(false)), random_input({4, 7}));
}

TEST(Layers, ConvIsTorchs) {
  expect_equal(*block_of({{"conv", 4}}, {3, 8, 9}), nn::Conv2d(nn::Conv2dOptions(3, 4, 3)),
               random_input({2, 3, 8, 9}));
  expect_equal(*block_of({{"conv", 4}, {"kernel", 5}, {"stride", 2}, {"padding", 2}}, {3, 8, 9}),
               nn::Conv2d(nn::Conv2dOptions(3, 4, 5).stride(2).padding(2)),
               random_input({2, 3, 8, 9}));
}

TEST(Layers, PoolsAreTorchs) {
  expect_equal(*block_of({{"pool", 2}}, {3, 7, 8}), nn::MaxPool2d(2), random_input({2, 3, 7, 8}));
  expect_equal(*block_of({{"pool", 3}, {"stride", 1}}, {3, 7, 8}),
               nn::MaxPool2d(nn::MaxPool2dOptions(3).stride(1)), random_input({2, 3, 7, 8}));
  expect_equal(*block_of({{"avg_pool", 2}}, {3, 7, 8}), nn::AvgPool2d(2),
               random_input({2, 3, 7, 8}));
}

TEST(Layers, ActivationsAreTorchs) {
  expect_equal(*block_of("relu", {5}), nn::ReLU(), random_input({4, 5}));
  expect_equal(*block_of("tanh", {5}), nn::Tanh(), random_input({4, 5}));
  expect_equal(*block_of("gelu", {5}), nn::GELU(), random_input({4, 5}));
  expect_equal(*block_of("softmax", {5}), nn::LogSoftmax(1), random_input({4, 5}));
  expect_equal(*block_of("flatten", {5, 2, 3}), nn::Flatten(), random_input({4, 5, 2, 3}));
}

TEST(Layers, NormsAreTorchs) {
  expect_equal(*block_of("batch_norm", {5}), nn::BatchNorm1d(5), random_input({4, 5}));
  expect_equal(*block_of("batch_norm", {3, 4, 5}), nn::BatchNorm2d(3), random_input({4, 3, 4, 5}));
  expect_equal(*block_of("layer_norm", {6}), nn::LayerNorm(nn::LayerNormOptions({6})),
               random_input({4, 6}));
}

TEST(Layers, ReshapeKeepsTheSamples) {
  const auto block = block_of({{"reshape", {1, 2, 3}}}, {6});
  EXPECT_EQ(run(*block, random_input({4, 6})).sizes(), (std::vector<std::int64_t>{4, 1, 2, 3}));
}

TEST(Layers, ABlockOfLayersIsTheirComposition) {
  const auto block = block_of({{{"conv", 4}},
                               "relu",
                               {{"pool", 2}},
                               "tanh",
                               "flatten",
                               {{"linear", 6}},
                               "relu",
                               "gelu",
                               {{"linear", 3}}},
                              {2, 6, 6});
  nn::Linear first(16, 6), second(6, 3);
  nn::Conv2d conv(nn::Conv2dOptions(2, 4, 3));
  nn::Sequential twin(conv, nn::ReLU(), nn::MaxPool2d(2), nn::Tanh(), nn::Flatten(), first,
                      nn::ReLU(), nn::GELU(), second);
  twin->to(torch::kDouble);
  {
    torch::NoGradGuard no_grad;
    conv->weight.copy_(tensor_of(*block, "conv.weight"));
    conv->bias.copy_(tensor_of(*block, "conv.bias"));
    first->weight.copy_(tensor_of(*block, "linear.weight"));
    first->bias.copy_(tensor_of(*block, "linear.bias"));
    second->weight.copy_(tensor_of(*block, "linear_2.weight"));
    second->bias.copy_(tensor_of(*block, "linear_2.bias"));
  }
  const at::Tensor x = random_input({3, 2, 6, 6}).requires_grad_();
  const at::Tensor y = x.detach().clone().requires_grad_();
  const at::Tensor ours = run(*block, x);
  const at::Tensor theirs = twin->forward(y);
  ours.square().sum().backward();
  theirs.square().sum().backward();
  EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(x.grad(), y.grad(), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(tensor_of(*block, "conv.weight").grad(), conv->weight.grad(), 1e-12));
}

// Layers inside a block write over each other's outputs; the block's input stays as it was.
TEST(Layers, NoBlockWritesItsInput) {
  for (const Json& entry : std::vector<Json>{"relu",
                                             "tanh",
                                             {"relu", "tanh"},
                                             {"tanh", "relu"},
                                             {{{"dropout", 0.5}}, "relu"},
                                             {{{"dropout", 0.0}}, "relu"},
                                             {"flatten", "relu"},
                                             {"relu", {{"dropout", 0.5}}}}) {
    for (const auto mode : {ForwardMode::train, ForwardMode::evaluate}) {
      for (const bool gradients : {true, false}) {
        const torch::AutoGradMode grad_mode(gradients);
        const auto block = block_of(entry, {5});
        const at::Tensor x = random_input({4, 5});
        const at::Tensor before = x.clone();
        run(*block, x.clone().requires_grad_(gradients), mode);
        run(*block, x, mode);
        EXPECT_TRUE(at::equal(x, before)) << entry;
      }
    }
  }
}

TEST(Layers, TakeAPartWithoutSamples) {
  for (const Json& entry : std::vector<Json>{{{"conv", 2}},
                                             {{"pool", 2}},
                                             "flatten",
                                             "relu",
                                             "gelu",
                                             "batch_norm",
                                             "layer_norm",
                                             {{"dropout", 0.5}},
                                             {{"dropout2d", 0.5}},
                                             {{{"conv", 2}}, "relu", "flatten", {{"linear", 3}}}}) {
    const auto block = block_of(entry, {3, 4, 4});
    const at::Tensor x = random_input({0, 3, 4, 4}).requires_grad_();
    const at::Tensor y = run(*block, x);
    EXPECT_EQ(y.size(0), 0) << entry;
    y.sum().backward();
    for (const auto& parameter : block->parameters()) {
      ASSERT_TRUE(parameter.grad().defined()) << entry;
      EXPECT_EQ(parameter.grad().abs().sum().item<double>(), 0) << entry;
    }
  }
}

TEST(BatchNorm, UpdatesRunningStatisticsOnceAndUsesThemInEvaluation) {
  const auto block = block_of("batch_norm", {3});
  const at::Tensor x = random_input({8, 3}) * 3 + 1;
  const at::Tensor mean = tensor_of(*block, "running_mean");
  const at::Tensor trained = run(*block, x);
  EXPECT_TRUE(at::allclose(mean, x.mean(0) * 0.1, 1e-12, 1e-12));
  const at::Tensor once = mean.clone();
  EXPECT_TRUE(at::equal(run(*block, x, ForwardMode::recompute), trained));
  EXPECT_TRUE(at::equal(mean, once));
  run(*block, x, ForwardMode::evaluate);
  EXPECT_TRUE(at::equal(mean, once));
  EXPECT_TRUE(at::equal(run(*block, x, ForwardMode::no_save), trained));
  EXPECT_FALSE(at::equal(mean, once));
  nn::BatchNorm1d twin(3);
  twin->to(torch::kDouble);
  twin->running_mean.copy_(mean);
  twin->running_var.copy_(tensor_of(*block, "running_var"));
  twin->eval();
  EXPECT_TRUE(at::allclose(run(*block, x, ForwardMode::evaluate), twin->forward(x), 1e-12));
}

TEST(BatchNorm, RefusesASingleValuePerChannel) {
  const auto block = block_of("batch_norm", {3});
  EXPECT_THAT(testing::refusal([&] {
                run(*block, random_input({1, 3}));
              }),
              ::testing::HasSubstr("two samples or more"));
  EXPECT_EQ(run(*block, random_input({1, 3}), ForwardMode::evaluate).size(0), 1);
}

TEST(SoftmaxHead, ChangesNoCrossEntropy) {
  const at::Tensor logits = random_input({6, 5}) * 10;
  const at::Tensor labels = torch::arange(6) % 5;
  const at::Tensor head = run(*block_of("softmax", {5}), logits);
  EXPECT_NEAR(loss_sums(LossKind::cross_entropy, head, labels, false).loss.item<double>(),
              loss_sums(LossKind::cross_entropy, logits, labels, false).loss.item<double>(), 1e-12);
}

}  // namespace
}  // namespace shoal

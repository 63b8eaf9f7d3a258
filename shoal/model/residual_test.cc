// Residual layers, and the networks made of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/model/recorder.h"
#include "shoal/model/test_blocks.h"
#include "shoal/model/zoo.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using testing::block_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::parameters;
using testing::refusal;
using testing::run;
using testing::tensor_of;
using Json = nlohmann::json;

TEST(Residual, AddsItsInput) {
  const auto block =
      block_of(Json::parse(R"({"residual": [{"linear": 4}, "tanh", {"linear": 4}]})"), {4});
  const at::Tensor x = at::randn({3, 4}, at::kDouble);
  const at::Tensor before = x.clone();
  const at::Tensor h = at::tanh(at::linear(x, tensor_of(*block, "body.linear.weight"),
                                           tensor_of(*block, "body.linear.bias")));
  const at::Tensor expected = x + at::linear(h, tensor_of(*block, "body.linear_2.weight"),
                                             tensor_of(*block, "body.linear_2.bias"));
  EXPECT_TRUE(at::allclose(run(*block, x), expected, 1e-12, 1e-12));
  EXPECT_TRUE(at::equal(x, before));
}

TEST(Residual, AddsWhatItsShortcutMakes) {
  const auto block = block_of(
      Json::parse(R"({"residual": [{"linear": 5}, "relu"], "shortcut": [{"linear": 5}]})"), {4});
  const at::Tensor x = at::randn({3, 4}, at::kDouble);
  const at::Tensor body = at::relu(at::linear(x, tensor_of(*block, "body.linear.weight"),
                                              tensor_of(*block, "body.linear.bias")));
  const at::Tensor shortcut =
      at::linear(x, tensor_of(*block, "shortcut.weight"), tensor_of(*block, "shortcut.bias"));
  EXPECT_TRUE(at::allclose(run(*block, x), body + shortcut, 1e-12, 1e-12));
}

TEST(Residual, GradientsAreThoseOfAutogradWithoutSharedMemory) {
  // Adding in place must not disturb what a backward reads: relu's reads its output.
  for (const char* layers :
       {R"({"residual": [{"linear": 4}]})", R"({"residual": [{"linear": 4}, "relu"]})",
        R"({"residual": [{"dropout": 0.5}]})", R"({"residual": ["batch_norm"]})",
        R"([{"residual": ["batch_norm", "relu", {"linear": 4}]}, "relu"])"}) {
    const auto block = block_of(Json::parse(layers), {4});
    const at::Tensor x = at::randn({6, 4}, at::kDouble).requires_grad_();
    const auto loss = [&](const at::Tensor& input) {
      return run(*block, input, ForwardMode::recompute).square().sum();
    };
    loss(x).backward();
    const double step = 1e-6;
    const at::NoGradGuard no_grad;
    at::Tensor moved = x.detach().clone();
    moved[2][1] += step;
    const double up = loss(moved).item<double>();
    moved[2][1] -= 2 * step;
    const double slope = (up - loss(moved).item<double>()) / (2 * step);
    EXPECT_NEAR(x.grad()[2][1].item<double>(), slope, 1e-5 * (1 + std::abs(slope))) << layers;
  }
}

TEST(Layers, NameTheDimensionsOfTheirTensors) {
  const auto block = block_of(
      Json::parse(
          R"([{"residual": [{"conv": 2, "padding": 1}, "batch_norm"], "shortcut": [{"conv": 2,
               "kernel": 1}]}, "flatten", {"linear": 3}, "layer_norm"])"),
      {2, 4, 4});
  EXPECT_THAT(block->dims_of("residual.body.conv.weight"),
              ElementsAre("out_channels", "in_channels", "", ""));
  EXPECT_THAT(block->dims_of("residual.body.batch_norm.running_var"), ElementsAre("channels"));
  EXPECT_THAT(block->dims_of("residual.shortcut.bias"), ElementsAre("out_channels"));
  EXPECT_THAT(block->dims_of("linear.weight"), ElementsAre("out_features", "in_features"));
  EXPECT_THAT(block->dims_of("layer_norm.weight"), ElementsAre(""));
  EXPECT_THAT(refusal([&] { block->dims_of("nothing"); }), HasSubstr("no tensor 'nothing'"));
}

TEST(Residual, RefusesBranchesThatCannotBeAdded) {
  EXPECT_THAT(
      refusal([] { block_of(Json::parse(R"({"residual": [{"linear": 5}]})"), {4}); }),
      AllOf(HasSubstr("its layers give [5] and its shortcut [4]"), HasSubstr("give a shortcut")));
  EXPECT_THAT(refusal([] { block_of(Json::parse(R"({"residual": [{"conv": 5}]})"), {4}); }),
              AllOf(HasSubstr("\"conv\" (in residual) cannot follow the residual's input"),
                    HasSubstr("[channels, height, width]")));
  EXPECT_THAT(refusal([] { block_of(Json::parse(R"({"residual": []})"), {4}); }),
              HasSubstr("residual = []: give a list of layers"));
  EXPECT_THAT(refusal([] { block_of(Json::parse(R"({"residual": ["rellu"]})"), {4}); }),
              AllOf(HasSubstr("layers[0].residual[0]"), HasSubstr("did you mean 'relu'")));
  EXPECT_THAT(refusal([] { block_of(Json::parse(R"({"shortcut": ["relu"]})"), {4}); }),
              HasSubstr("shortcut"));
}

TEST(Subsample, TakesEverySecondPixelAndAddsChannelsOfZeros) {
  const auto block = block_of(Json::parse(R"({"subsample": 2, "channels": 3})"), {2, 5, 4});
  const at::Tensor x = at::randn({2, 2, 5, 4}, at::kDouble);
  const at::Tensor y = run(*block, x);
  EXPECT_THAT(y.sizes().vec(), ElementsAre(2, 3, 3, 2));
  EXPECT_EQ(y[1][1][2][1].item<double>(), x[1][1][4][2].item<double>());
  EXPECT_TRUE(at::equal(y.slice(1, 2), at::zeros({2, 1, 3, 2}, at::kDouble)));
  EXPECT_THAT(refusal([] {
                block_of(Json::parse(R"({"subsample": 2, "channels": 1})"), {2, 4, 4});
              }),
              HasSubstr("cannot leave out channels: give 2 or more"));
}

struct Reference {
  const char* name;
  PictureForm form;
  Shape picture;
  int classes;
  std::int64_t parameters;
};

TEST(PictureModels, HaveTheParametersOfTheReference) {
  const Shape small{3, 32, 32}, large{3, 224, 224};
  const auto automatic = PictureForm::automatic;
  for (const Reference& model : std::vector<Reference>{
           {"resnet18", automatic, large, 1000, 11'689'512},
           {"resnet18", automatic, small, 10, 11'173'962},
           {"resnet18", automatic, small, 100, 11'220'132},
           {"resnet34", automatic, large, 1000, 21'797'672},
           {"resnet50", automatic, large, 1000, 25'557'032},
           {"resnet50", automatic, small, 10, 23'520'842},
           {"resnet50", PictureForm::cifar, large, 100, 23'705'252},
           {"resnet18", PictureForm::imagenet, small, 1000, 11'689'512},
           {"resnet20", automatic, small, 10, 269'722},
           {"resnet56", automatic, small, 10, 853'018},
           {"resnet164", automatic, small, 10, 1'703'258},
           {"resnet164", automatic, small, 100, 1'726'388},
           {"vgg19", automatic, large, 1000, 143'667'240},
           {"vgg19_bn", automatic, large, 1000, 143'678'248},
           {"vgg19", automatic, small, 10, 20'029'514},
           {"vgg19_bn", automatic, small, 100, 20'086'692},
       }) {
    ModelOptions options;
    options.name = model.name;
    options.form = model.form;
    const Chain chain =
        make_chain(options, {.sample_shape = model.picture, .classes = model.classes});
    EXPECT_EQ(parameters(chain), model.parameters) << model.name << " " << model.picture[1];
  }
}

std::int64_t count_layers(const Json& layers, const std::string& name) {
  std::int64_t count = 0;
  for (const Json& entry : layers) {
    if (entry.is_array() || entry.is_object()) count += count_layers(entry, name);
    if (entry.is_object() && entry.contains(name)) ++count;
  }
  return count;
}

TEST(PictureModels, Resnet164Has166Convolutions) {
  EXPECT_EQ(
      count_layers(
          resnet164({.outputs = 10, .classes = true, .sample_shape = {3, 32, 32}, .hidden = {}}),
          "conv"),
      166);
}

TEST(PictureModels, RunForwardAndBackward) {
  for (const char* name : {"resnet18", "resnet20", "resnet164", "vgg19_bn"}) {
    ModelOptions options;
    options.name = name;
    const Chain chain = make_chain(options, {.sample_shape = {3, 32, 32}, .classes = 10});
    at::Tensor x = at::rand({2, 3, 32, 32});
    std::vector<std::shared_ptr<Block>> blocks;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      blocks.push_back(chain.build(static_cast<int>(i), 1, at::kFloat));
      x = run(*blocks.back(), x);
    }
    EXPECT_THAT(x.sizes().vec(), ElementsAre(2, 10)) << name;
    x.sum().backward();
    for (const auto& parameter : blocks.front()->parameters()) {
      EXPECT_TRUE(parameter.grad().defined()) << name;
    }
  }
}

TEST(PictureModels, GlobalBatchNormReachesEveryLayer) {
  ModelOptions options;
  options.name = "resnet20";
  options.batch_norm = BatchNormScope::global;
  const Chain chain = make_chain(options, {.sample_shape = {3, 8, 8}, .classes = 10});
  const auto facts = record_facts(chain, {{.name = "x", .sample_shape = {3, 8, 8}}}, {});
  std::size_t sums = 0;
  for (const BlockFacts& block : facts) {
    EXPECT_EQ(block.forward_sums.size(), block.backward_sums.size());
    sums += block.forward_sums.size();
  }
  EXPECT_EQ(sums, 19u);
}

}  // namespace
}  // namespace shoal

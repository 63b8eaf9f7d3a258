// Layers of sequences against torch::nn's, and what models of ids refuse.
#include <gmock/gmock.h>

#include <cmath>

#include "shoal/model/recorder.h"
#include "shoal/model/test_blocks.h"
#include "shoal/model/zoo.h"

namespace shoal {
namespace {

using testing::block_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;
using testing::run;
using testing::tensor_of;
using Json = nlohmann::json;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

const at::Tensor kIds = at::tensor({0, 3, 3, 1, 4, 0, 2, 3}, at::kLong).reshape({2, 4});

TEST(Embedding, IsTorchsWithItsGradient) {
  const auto block = block_of({{"embedding", 6}, {"vocabulary", 5}}, {4});
  nn::Embedding twin(5, 6);
  twin->to(at::kDouble);
  {
    const torch::NoGradGuard no_grad;
    twin->weight.copy_(tensor_of(*block, "weight"));
  }
  const at::Tensor ours = run(*block, kIds), theirs = twin->forward(kIds);
  EXPECT_TRUE(at::equal(ours, theirs));
  const at::Tensor weights = at::sin(at::arange(48, at::kDouble)).reshape({2, 4, 6});
  (ours * weights).sum().backward();
  (theirs * weights).sum().backward();
  EXPECT_TRUE(at::equal(tensor_of(*block, "weight").grad(), twin->weight.grad()));
  EXPECT_THAT(block->dims_of("weight"), ElementsAre("vocab", "features"));
}

TEST(Embedding, AddsARowForEachPosition) {
  const Json entry{{"embedding", 3}, {"vocabulary", 5}, {"positions", true}, {"deviation", 0.5}};
  const auto block = block_of(entry, {4});
  const at::Tensor weight = tensor_of(*block, "weight"), positions = tensor_of(*block, "positions");
  EXPECT_EQ(positions.sizes(), (Shape{4, 3}));
  EXPECT_TRUE(at::equal(run(*block, kIds), F::embedding(kIds, weight) + positions));
  run(*block, kIds).sum().backward();
  EXPECT_TRUE(at::equal(positions.grad(), at::full({4, 3}, 2.0, at::kDouble)));
  EXPECT_THAT(block->dims_of("positions"), ElementsAre("positions", "features"));
  const double largest = at::cat({weight, positions}).abs().max().item<double>();
  EXPECT_LE(largest, std::sqrt(3.0) * 0.5);
  EXPECT_GT(largest, 0.5);
}

TEST(Conv1d, IsTorchsAlongThePositions) {
  const at::Tensor input = at::sin(at::arange(2 * 9 * 3, at::kDouble)).reshape({2, 9, 3});
  for (const bool causal : {false, true}) {
    for (const std::int64_t dilation : {1, 2}) {
      Json entry{{"conv1d", 4}, {"kernel", 3}, {"dilation", dilation}, {"causal", causal}};
      if (!causal) entry["padding"] = 1;
      const auto block = block_of(entry, {9, 3});
      const at::Tensor weight = tensor_of(*block, "weight"), bias = tensor_of(*block, "bias");
      const at::Tensor x = input.clone().requires_grad_(), y = input.clone().requires_grad_();
      at::Tensor turned = y.transpose(1, 2);
      if (causal) turned = F::pad(turned, F::PadFuncOptions({2 * dilation, 0}));
      const at::Tensor theirs =
          F::conv1d(
              turned, weight.detach(),
              F::Conv1dFuncOptions().bias(bias.detach()).dilation(dilation).padding(causal ? 0 : 1))
              .transpose(1, 2);
      const at::Tensor ours = run(*block, x);
      EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
      ours.square().sum().backward();
      theirs.square().sum().backward();
      EXPECT_TRUE(at::allclose(x.grad(), y.grad(), 1e-12, 1e-12));
    }
  }
}

// What the first k positions give does not depend on those after them.
void expect_causal(const std::function<at::Tensor(const at::Tensor&)>& outputs,
                   std::int64_t positions) {
  const at::Tensor ids = at::arange(positions).remainder(5).unsqueeze(0);
  const at::Tensor whole = outputs(ids);
  for (const std::int64_t k : {std::int64_t{1}, positions / 2, positions - 1}) {
    at::Tensor other = ids.clone();
    other.slice(1, k).add_(1).remainder_(5);
    const at::Tensor changed = outputs(other);
    EXPECT_TRUE(at::allclose(changed.slice(1, 0, k), whole.slice(1, 0, k), 1e-12, 1e-12)) << k;
    EXPECT_FALSE(at::allclose(changed.slice(1, k), whole.slice(1, k))) << k;
  }
}

DataShape five_characters(std::int64_t context) {
  return {.sample_shape = {context}, .classes = 5, .positions = {context}, .ids = 5};
}

TEST(SequenceModels, SeeNothingOfWhatFollows) {
  ModelOptions written;
  written.layers = Json::parse(R"([{"embedding": 6, "positions": true},
      [{"conv1d": 6, "causal": true}, "relu", "layer_norm", {"dropout": 0.5}],
      {"residual": [{"linear": 6}, "tanh"]}, [{"linear": 5}, "softmax"]])");
  ModelOptions bigram, tcn;
  bigram.name = "bigram";
  tcn.name = "tcn";
  for (const ModelOptions& options : {written, bigram, tcn}) {
    const Chain chain = make_chain(options, five_characters(12));
    std::vector<std::shared_ptr<Block>> blocks;
    for (int i = 0; i < static_cast<int>(chain.size()); ++i) {
      blocks.push_back(chain.build(i, 3, at::kDouble));
    }
    expect_causal(
        [&](at::Tensor x) {
          for (const auto& block : blocks) x = run(*block, x, ForwardMode::evaluate);
          return x.detach();
        },
        12);
  }
}

TEST(SequenceModels, LayersOfRowsWorkAtEachPosition) {
  const at::Tensor x = at::sin(at::arange(2 * 3 * 4, at::kDouble)).reshape({2, 3, 4});
  const std::vector<Json> entries{{{"linear", 5}}, "layer_norm", "softmax", "gelu"};
  for (const Json& entry : entries) {
    const auto of_positions = block_of(entry, {3, 4}), of_rows = block_of(entry, {4});
    const at::Tensor rows = run(*of_rows, x.reshape({6, 4}));
    EXPECT_TRUE(at::allclose(run(*of_positions, x), rows.reshape({2, 3, -1}), 1e-12, 1e-12))
        << entry;
  }
}

// Ids are 0 while facts are recorded: there is such a row in every table.
TEST(SequenceModels, AreRecordedOnIds) {
  ModelOptions tcn;
  tcn.name = "tcn";
  const Chain chain = make_chain(tcn, five_characters(12));
  const auto facts = record_facts(
      chain,
      {{.name = "x", .sample_shape = {12}, .type = ElementType::int64, .differentiable = false}},
      {.type = at::kDouble});
  EXPECT_EQ(facts.front().inputs.front().type, ElementType::int64);
  EXPECT_EQ(facts.front().outputs.front().type, ElementType::float64);
  EXPECT_THAT(facts.back().outputs.front().sample_shape, ElementsAre(12, 5));
}

std::string misfit_of(const char* layers, const DataShape& data) {
  ModelOptions options;
  options.layers = Json::parse(layers);
  return refusal([&] { make_chain(options, data); });
}

TEST(SequenceModels, RefuseWhatDoesNotFit) {
  const DataShape text = five_characters(8), rows{.sample_shape = {8}, .classes = 5};
  EXPECT_THAT(misfit_of(R"([{"linear": 5}])", text), HasSubstr("begin with {embedding = 64}"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}, {"linear": 5}])", rows),
              HasSubstr("the data's samples are numbers"));
  EXPECT_THAT(misfit_of(R"([[{"residual": [{"embedding": 5}]}, "relu"]])", rows),
              HasSubstr("the data's samples are numbers"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 5}, {"embedding": 5}])", text),
              HasSubstr("it can only be the first layer"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 5, "vocabulary": 3}])", text),
              HasSubstr("vocabulary = 3, and the data has 5 ids"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}])", text),
              HasSubstr("gives [8, 8] for each sample, but the data has 5 classes at each of 8 "
                        "positions: end with {linear = 5}"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}, "flatten", {"linear": 5}])", text),
              HasSubstr("gives [5] for each sample"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}, {"conv1d": 4, "kernel": 10}])", text),
              HasSubstr("its kernel spans 10 positions and there are 8"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}, {"conv1d": 4, "causal": true, "padding": 1}])", text),
              HasSubstr("causal = true pads by itself"));
  EXPECT_THAT(misfit_of(R"([{"conv1d": 4}])", rows), HasSubstr("it takes [positions, features]"));
  EXPECT_THAT(misfit_of(R"([{"embedding": 8}, {"conv": 4}])", text),
              HasSubstr("it takes [channels, height, width]"));
  EXPECT_EQ(misfit_of(R"([[{"embedding": 5, "vocabulary": 9}, "softmax"]])", text),
            "nothing was refused");
}

}  // namespace
}  // namespace shoal

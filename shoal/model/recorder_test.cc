#include "shoal/model/recorder.h"

#include <gmock/gmock.h>

#include <fstream>

#include "shoal/model/test_blocks.h"
#include "shoal/model/zoo.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

std::vector<BlockFacts> facts_of(const Json& layers, const Shape& input,
                                 const RecordOptions& options = {}) {
  return record_facts(Chain(layer_list(layers, input).blocks, LossKind::cross_entropy),
                      {{.name = "x", .sample_shape = input}}, options);
}

TEST(Recorder, DescribesALinearBlock) {
  const auto facts = facts_of({{{"linear", 6}}, {{"linear", 3}}}, {4});
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_EQ(facts[0].name, "0.linear");
  ASSERT_EQ(facts[0].parameters.size(), 2u);
  EXPECT_EQ(facts[0].parameters[0].name, "0.linear.bias");
  EXPECT_EQ(facts[0].parameters[1].name, "0.linear.weight");
  EXPECT_THAT(facts[0].parameters[1].shape, ElementsAre(6, 4));
  EXPECT_TRUE(facts[0].parameters[1].trainable);
  EXPECT_EQ(facts[0].parameter_bytes(), 4 * (6 * 4 + 6));
  EXPECT_THAT(facts[0].gradient_order, ::testing::UnorderedElementsAre(0, 1));
  EXPECT_FALSE(facts[0].inputs[0].differentiable);
  EXPECT_THAT(facts[0].outputs[0].sample_shape, ElementsAre(6));
  EXPECT_TRUE(facts[0].outputs[0].differentiable);
  EXPECT_EQ(facts[1].inputs, facts[0].outputs);
  EXPECT_FALSE(facts[0].draws_random_numbers);
  EXPECT_EQ(facts[0].forward, WorkFacts{});
}

TEST(Recorder, TypeIsThatOfTheModel) {
  const auto facts = facts_of({{{"linear", 6}}}, {4}, {.type = at::kDouble});
  EXPECT_EQ(facts[0].parameters[0].type, ElementType::float64);
  EXPECT_EQ(facts[0].inputs[0].type, ElementType::float64);
  EXPECT_EQ(facts[0].outputs[0].type, ElementType::float64);
}

TEST(Recorder, AutocastGivesBfloat16BetweenBlocks) {
  const auto facts =
      facts_of({{{"linear", 6}}, "relu", {{"linear", 6}}}, {6}, {.autocast = at::kBFloat16});
  EXPECT_EQ(facts[0].parameters[0].type, ElementType::float32);
  EXPECT_EQ(facts[0].outputs[0].type, ElementType::bfloat16);
  EXPECT_EQ(facts[2].inputs[0].type, ElementType::bfloat16);
}

// 64 floats are 256 bytes, so the allocator's rounding does not show.
TEST(Recorder, SavedBytesAreWhatAutogradKeepsBesideInAndOutput) {
  const auto saved = [](const Json& layers, std::size_t block) {
    return facts_of(layers, {64})[block].saved_bytes;
  };
  const Json first = {{"linear", 64}};
  EXPECT_EQ(saved({first, {{"linear", 64}}}, 1), LinearFact{});      // its input
  EXPECT_EQ(saved({first, "relu"}, 1), LinearFact{});                // its output
  EXPECT_EQ(saved({first, "flatten"}, 1), LinearFact{});             // a view
  EXPECT_EQ(saved({first, {{"dropout", 0.5}}}, 1).per_sample, 256);  // its mask
  // relu writes over the first layer's output and keeps it for itself and the second layer.
  EXPECT_EQ(saved(Json::array({Json::array({first, "relu", first})}), 0).per_sample, 256);
  // gelu keeps the first layer's output, and the second layer gelu's.
  EXPECT_EQ(saved(Json::array({Json::array({first, "gelu", first})}), 0).per_sample, 512);
}

TEST(Recorder, MaxPoolSavesEightBytesAnOutput) {
  const auto facts = facts_of({{{"conv", 2}}, {{"pool", 2}}}, {1, 18, 18});
  EXPECT_THAT(facts[1].outputs[0].sample_shape, ElementsAre(2, 8, 8));
  EXPECT_EQ(facts[1].saved_bytes.per_sample, 2 * 8 * 8 * 8);
}

TEST(Recorder, WorkspaceHoldsTheGradientBeforeItIsAdded) {
  const auto facts = facts_of({{{"linear", 512}}}, {512});
  EXPECT_GE(facts[0].workspace_bytes.at(2), 512 * 512 * 4);
  EXPECT_LE(facts[0].workspace_bytes.at(2), 2 * 512 * 512 * 4 + 100'000);
}

TEST(Recorder, BuffersAreNotParameters) {
  const auto facts = facts_of({{{"conv", 4}}, "batch_norm"}, {1, 6, 6});
  EXPECT_EQ(facts[1].parameters.size(), 2u);
  ASSERT_EQ(facts[1].buffers.size(), 2u);
  EXPECT_EQ(facts[1].buffers[0].name, "1.batch_norm.running_mean");
  EXPECT_FALSE(facts[1].buffers[0].trainable);
}

TEST(Recorder, EqualBlocksShareARecordUnderTheirOwnNames) {
  int built = 0;
  LayerList list = layer_list(Json::parse(R"([{"linear": 8}, {"linear": 8}, {"linear": 8}])"), {8});
  for (BlockFactory& factory : list.blocks) {
    factory.build = [&built, build = factory.build] {
      ++built;
      return build();
    };
  }
  const auto facts = record_facts(Chain(list.blocks, LossKind::cross_entropy),
                                  {{.name = "x", .sample_shape = {8}}}, {});
  EXPECT_EQ(built, 2);  // the first block's input asks for no gradient
  EXPECT_EQ(facts[2].name, "2.linear");
  EXPECT_EQ(facts[2].parameters[1].name, "2.linear.weight");
  EXPECT_EQ(facts[2].saved_bytes, facts[1].saved_bytes);
}

TEST(Recorder, WaitsAreExact) {
  const auto facts = facts_of({{{"wait", 2}, {"backward", 3}}}, {4}, {.measure_costs = true});
  EXPECT_EQ(facts[0].forward.wait, (LinearFact{.fixed = 0.002, .per_sample = 0}));
  EXPECT_EQ(facts[0].backward.wait, (LinearFact{.fixed = 0.003, .per_sample = 0}));
  EXPECT_LT(facts[0].forward.core.at(32), 0.001);  // sleeping takes no core
}

TEST(Recorder, CostsGrowWithTheSamples) {
  const auto facts =
      facts_of({{{"linear", 256}}, {{"linear", 256}}}, {256}, {.measure_costs = true});
  for (const auto& block : facts) {
    for (const LinearFact& core : {block.forward.core, block.backward.core}) {
      EXPECT_GE(core.fixed, 0);
      EXPECT_GE(core.per_sample, 0);
      EXPECT_GT(core.at(32), 0);
    }
  }
}

TEST(Recorder, NamesTheBlockAndTheShapeThatDoNotFit) {
  const Chain chain = chain_of_sequential(
      [] { return torch::nn::Sequential(torch::nn::Flatten(), torch::nn::Linear(5, 3)); });
  EXPECT_THAT(testing::refusal([&] {
                record_facts(chain, {{.name = "x", .sample_shape = {2, 3}}}, {});
              }),
              ::testing::StartsWith("block 1.linear cannot take [n, 6]: mat1 and mat2 shapes"));
}

struct Collapsing : Block {
  Activations forward(const Activations& input, const Context&) override {
    return Activations(input.only().sum());
  }
};

TEST(Recorder, RefusesOutputsThatDoNotCountSamples) {
  const Chain chain(
      {{.name = "0.sum", .kind = "sum", .build = [] { return std::make_shared<Collapsing>(); }}},
      LossKind::mean_squared);
  EXPECT_THAT(
      testing::refusal([&] { record_facts(chain, {{.name = "x", .sample_shape = {3}}}, {}); }),
      HasSubstr("the first size must count samples"));
}

TEST(Recorder, RecordsTheZoo) {
  const DataShape images{.sample_shape = {1, 28, 28}, .classes = 10};
  for (const std::string name : {"mynet", "convnet", "mlp", "softmax"}) {
    ModelOptions options;
    options.name = name;
    const Chain chain = make_chain(options, images);
    const auto start = std::chrono::steady_clock::now();
    const auto facts = record_facts(chain, {{.name = "x", .sample_shape = {1, 28, 28}}}, {});
    RecordProperty(name + "_microseconds",
                   static_cast<int>((std::chrono::steady_clock::now() - start).count() / 1000));
    EXPECT_EQ(facts.size(), chain.size());
    EXPECT_THAT(facts.back().outputs[0].sample_shape, ElementsAre(10));
  }
}

}  // namespace
}  // namespace shoal

#include "shoal/model/zoo.h"

#include <gmock/gmock.h>

#include "shoal/model/test_blocks.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::parameters;
using testing::refusal;
using Json = nlohmann::json;

DataShape text_shape(std::int64_t context) {
  return {.sample_shape = {context}, .classes = 5, .positions = {context}, .ids = 5};
}

const DataShape kImages{.sample_shape = {1, 28, 28}, .classes = 10};

ModelOptions named(const std::string& name) {
  ModelOptions options;
  options.name = name;
  return options;
}

ModelOptions written(const char* layers) {
  ModelOptions options;
  options.layers = Json::parse(layers);
  return options;
}

std::vector<std::string> block_names(const Chain& chain) {
  std::vector<std::string> names;
  for (const auto& block : chain.blocks()) names.push_back(block.name);
  return names;
}

at::Tensor output(const Chain& chain, at::Tensor x) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    x = testing::run(*chain.build(static_cast<int>(i), 1, at::kFloat), x);
  }
  return x;
}

TEST(Zoo, ParameterCountsAreThoseOfTheReference) {
  EXPECT_EQ(parameters(make_chain(named("mynet"), kImages)), 1'201'382);
  EXPECT_EQ(parameters(make_chain(named("keras"), {.sample_shape = {10}, .classes = 10})), 5'514);
  EXPECT_EQ(parameters(make_chain(named("convnet"), kImages)), 108'618);
  EXPECT_EQ(parameters(make_chain(named("mlp"), kImages)), 101'770);
  EXPECT_EQ(parameters(make_chain(named("softmax"), kImages)), 7'850);
  EXPECT_EQ(parameters(make_chain(named("wide"), {.sample_shape = {2048}, .classes = 10})),
            4 * (2048 * 2048 + 2048) + 10 * 2049);
}

TEST(Zoo, MynetIsCutAsTheBookDoes) {
  const Chain chain = make_chain(named("mynet"), kImages);
  EXPECT_THAT(block_names(chain),
              ElementsAre("0.conv", "1.conv", "2.linear", "3.linear", "4.linear"));
  const at::Tensor y = output(chain, at::rand({3, 1, 28, 28}));
  EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{3, 10}));
  EXPECT_TRUE(at::allclose(y.exp().sum(1), at::ones({3}), 1e-4, 1e-4));
}

TEST(Zoo, EveryModelRunsOnWhatItIsFor) {
  for (const std::string& name : model_names()) {
    const bool on_rows = name == "keras" || name == "wide";
    const bool deep = name.starts_with("resnet") || name.starts_with("vgg");
    const bool of_text = name == "bigram" || name == "tcn";
    if (of_text) {
      const Chain chain = make_chain(named(name), text_shape(9));
      EXPECT_EQ(output(chain, at::arange(18).reshape({2, 9}).remainder(5)).sizes(),
                (Shape{2, 9, 5}))
          << name;
      continue;
    }
    const DataShape data = on_rows ? DataShape{.sample_shape = {12}, .classes = 4}
                           : deep  ? DataShape{.sample_shape = {3, 32, 32}, .classes = 4}
                                   : kImages;
    Shape shape{2};
    shape.insert(shape.end(), data.sample_shape.begin(), data.sample_shape.end());
    EXPECT_EQ(output(make_chain(named(name), data), at::rand(shape)).size(1), data.classes) << name;
  }
}

TEST(Zoo, MlpHasTheWidthsAskedForAndPredictsNumbersToo) {
  ModelOptions options = named("mlp");
  options.hidden = {32, 16};
  const Chain chain = make_chain(options, {.sample_shape = {7}, .classes = 0, .targets = 2});
  EXPECT_EQ(parameters(chain), 7 * 32 + 32 + 32 * 16 + 16 + 16 * 2 + 2);
  EXPECT_EQ(chain.loss(), LossKind::mean_squared);
  options.hidden = {};
  EXPECT_EQ(parameters(make_chain(options, {.sample_shape = {7}, .classes = 3})), 24);
}

TEST(Layers, OfAJobFileMakeAChain) {
  const Chain chain = make_chain(
      written(R"([[{"conv": 8, "kernel": 5}, "relu", {"pool": 2}], "flatten", {"linear": 32},
                  "relu", {"dropout": 0.2}, {"linear": 10}])"),
      kImages);
  EXPECT_THAT(block_names(chain),
              ElementsAre("0.conv", "1.flatten", "2.linear", "3.relu", "4.dropout", "5.linear"));
  EXPECT_EQ(output(chain, at::rand({2, 1, 28, 28})).size(1), 10);
  EXPECT_EQ(chain.loss(), LossKind::cross_entropy);
}

TEST(Layers, EqualEntriesAreOfOneKind) {
  const auto blocks =
      make_chain(written(R"([{"linear": 10}, {"linear": 10}, {"linear": 10, "bias": false}])"),
                 {.sample_shape = {10}, .classes = 10})
          .blocks();
  EXPECT_EQ(blocks[0].kind, blocks[1].kind);
  EXPECT_NE(blocks[1].kind, blocks[2].kind);
}

std::string fault_of(const char* layers, const DataShape& data = kImages) {
  return refusal([&] { make_chain(written(layers), data); });
}

TEST(Layers, ThatCannotFollowEachOtherAreRefusedWithBothNamesAndTheShape) {
  EXPECT_THAT(fault_of(R"([{"pool": 2}, {"linear": 10}])"),
              AllOf(HasSubstr("\"linear\" (block 1.linear) cannot follow \"pool\" (block "
                              "0.pool), which gives [1, 14, 14] for each sample"),
                    HasSubstr("put \"flatten\" before it")));
  EXPECT_THAT(fault_of(R"(["flatten", {"conv": 3}])"),
              HasSubstr("cannot follow \"flatten\" (block 0.flatten), which gives [784]"));
  EXPECT_THAT(fault_of(R"([{"conv": 3, "kernel": 29}])"),
              AllOf(HasSubstr("cannot follow the input, which gives [1, 28, 28]"),
                    HasSubstr("kernel of 29 is larger than the padded image of 28")));
  EXPECT_THAT(fault_of(R"([{"pool": 29}])"), HasSubstr("window of 29"));
  EXPECT_THAT(fault_of(R"([{"reshape": [3, 28]}])"), HasSubstr("another number of elements"));
  EXPECT_THAT(fault_of(R"([{"reshape": [1073741824, 1073741824, 1073741824]}])"),
              HasSubstr("too many elements"));
  EXPECT_THAT(fault_of(R"(["flatten", {"dropout2d": 0.5}])"),
              HasSubstr("[channels, height, width]"));
  EXPECT_THAT(fault_of(R"([{"reshape": [28, 28]}, "batch_norm"])"), HasSubstr("[features] or"));
}

TEST(Layers, MustEndInWhatTheDataHas) {
  EXPECT_THAT(fault_of(R"(["flatten", {"linear": 9}])"),
              HasSubstr("\"linear\" (block 1.linear) is the last layer and gives [9] for each "
                        "sample, but the data has 10 classes: end with {linear = 10}"));
  EXPECT_THAT(fault_of(R"([{"linear": 2}])", {.sample_shape = {4}, .classes = 0, .targets = 1}),
              HasSubstr("the data has 1 numbers to predict"));
}

TEST(Layers, EveryFaultOfAListIsReported) {
  const auto faults = written(R"(["relo", {"linear": 0}, {"conv": 4, "kernle": 3}, {"dropout": 1},
      {"linear": 3, "relu": true}, 7, [], [[]], {"linear": 2.5}, {"flatten": 2}, "conv", {},
      {"linear": 3, "bias": 1}, "zzzzzz", {"reshape": 3}, "batch_norm", {"relu": true, "x": 1}])")
                          .problems();
  EXPECT_THAT(
      faults,
      ElementsAre(HasSubstr("layers[0]: unknown layer 'relo': did you mean 'relu'?"),
                  HasSubstr("layers[1]: linear = 0: give a whole number from 1 to 16777216"),
                  HasSubstr("layers[2]: conv has no setting 'kernle': did you mean 'kernel'?"),
                  HasSubstr("layers[3]: dropout = 1: give a number from 0 to below 1"),
                  HasSubstr("layers[4]: linear, relu are several layers in one table"),
                  HasSubstr("layers[5]: 7 is no layer"), HasSubstr("layers[6] is an empty list"),
                  HasSubstr("layers[7][0]: [] is no layer"),
                  HasSubstr("layers[8]: linear = 2.5: give a whole"),
                  HasSubstr("layers[9]: flatten takes no value: write true"),
                  HasSubstr("layers[10]: conv needs a value: write {conv = ...}"),
                  HasSubstr("layers[11]: {} is no layer"),
                  HasSubstr("layers[12]: bias = 1: give true or false"),
                  HasSubstr("layers[13]: unknown layer 'zzzzzz': there are linear, conv"),
                  HasSubstr("layers[14]: reshape = 3: give 1 to 6 sizes"),
                  HasSubstr("layers[16]: relu has no setting 'x'")));
}

TEST(ModelOptions, ReportWhatIsWrong) {
  EXPECT_THAT(named("mynett").problems(),
              ElementsAre("unknown model 'mynett': did you mean 'mynet'?"));
  EXPECT_THAT(ModelOptions{}.problems(), ElementsAre(HasSubstr("neither name nor layers")));
  ModelOptions both = named("mlp");
  both.layers = Json::parse("[\"relu\"]");
  both.hidden = {-2, 0};
  both.loss = "hinge";
  EXPECT_THAT(both.problems(),
              ElementsAre(HasSubstr("both name = \"mlp\" and layers"), HasSubstr("hidden has -2"),
                          HasSubstr("hidden has 0"), HasSubstr("loss is 'hinge'")));
  EXPECT_THAT(written("{\"linear\": 3}").problems(), ElementsAre(HasSubstr("no list of layers")));
}

TEST(ModelOptions, LossMustSuitTheData) {
  ModelOptions options = named("softmax");
  options.loss = "mean_squared";
  EXPECT_THAT(refusal([&] { make_chain(options, kImages); }),
              HasSubstr("needs numbers to predict"));
  options.loss = "cross_entropy";
  EXPECT_THAT(refusal([&] { make_chain(options, {.sample_shape = {3}}); }),
              HasSubstr("needs classes"));
  options.loss = "binary_cross_entropy";
  EXPECT_THAT(refusal([&] { make_chain(options, {.sample_shape = {3}, .targets = 2}); }),
              HasSubstr("needs labels of 0 and 1, and the data has 2 numbers to predict: use "
                        "\"huber\", \"mean_absolute\", \"mean_squared\", or set data.task"));
  options.loss = "mean_squared";
  const DataShape labels{.sample_shape = {3}, .targets = 2, .yes_or_no = true};
  EXPECT_THAT(refusal([&] { make_chain(options, labels); }),
              HasSubstr("the data has 2 labels of 0 and 1: use \"binary_cross_entropy\""));
  options.loss = "auto";
  EXPECT_EQ(make_chain(options, labels).loss(), LossKind::binary_cross_entropy);
}

TEST(Zoo, ModelsForImagesRefuseRows) {
  EXPECT_THAT(refusal([] { make_chain(named("mynet"), {.sample_shape = {64}, .classes = 10}); }),
              HasSubstr("model mynet: \"conv\" (block 0.conv) cannot follow the input, which gives "
                        "[64]"));
}

TEST(ModelOptions, TableReadsToml) {
  ModelOptions options;
  read_toml(
      "[model]\nlayers = [\"flatten\", {linear = 128}, [\"relu\", {linear = 10}]]\n"
      "hidden = [4, 5]\n",
      "job.toml", {describe(options)});
  EXPECT_EQ(options.layers,
            Json::parse(R"(["flatten", {"linear": 128}, ["relu", {"linear": 10}]])"));
  EXPECT_EQ(make_chain(options, kImages).size(), 3u);
  EXPECT_THAT(options.hidden, ElementsAre(4, 5));
}

}  // namespace
}  // namespace shoal

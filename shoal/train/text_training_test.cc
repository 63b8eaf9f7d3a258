// A model of characters trains under every plan as one worker does.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/train/batch_feed.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kText = R"(
seed = 5
[model]
layers = [{embedding = 12, positions = true}, [{conv1d = 12, causal = true}, "relu"],
          ["layer_norm", {dropout = 0.2}], {linear = V}]
[data]
name = "text"
context = 10
validation = 0.1
[train]
steps = 8
batch = 14
optimizer = "adam"
lr = 0.01
precision = "fp64"
evaluate_batch = 5
)";

// 14 characters, most of which depend on the one before.
std::string verses() {
  std::string text;
  for (int i = 0; i < 90; ++i) text += i % 7 < 3 ? "the bird sings é\n" : "a tree stands\n";
  return text;
}

// The characters of verses().
constexpr int kCharacters = 14;

struct TextJob {
  TempFolder folder;
  std::string text = kText;
  TextJob() {
    std::ofstream(folder / "t.txt") << verses();
    text.replace(text.find("V}"), 1, std::to_string(kCharacters));
  }
  PreparedJob prepared_with(Settings settings, int workers) const {
    settings.push_back(fmt::format("data.path={}", (folder / "t.txt").string()));
    return prepared(settings, workers, text.c_str());
  }
  RunReport run(const Settings& settings, int workers) const {
    return run_all(prepared_with(settings, workers)).front();
  }
};

TEST(TextTraining, FollowsTheSingleWorkerUnderEveryPlan) {
  const TextJob job;
  for (Settings settings :
       std::vector<Settings>{{}, {"train.label_smoothing=0.1", "train.class_weights=balanced"}}) {
    const RunReport expected = job.run(settings, 1);
    const auto expect_the_same = [&](const RunReport& found, const char* plan) {
      EXPECT_LT(largest_relative_gap(found.loss, expected.loss), 1e-9) << plan;
      EXPECT_NEAR(found.evaluations.back().loss, expected.evaluations.back().loss, 1e-9) << plan;
      EXPECT_EQ(found.evaluations.back().samples, expected.evaluations.back().samples);
    };
    expect_the_same(job.run(settings, 2), "two workers");
    expect_the_same(job.run(settings, 3), "three workers: parts of 5, 5 and 4 samples");
    settings.insert(settings.end(), {"parallel.mesh={pipe=2}", "pipeline.microbatches=3"});
    expect_the_same(job.run(settings, 2), "two stages");
    settings.emplace_back("recompute.mode=all");
    expect_the_same(job.run(settings, 2), "two stages that compute again");
  }
}

TEST(TextTraining, BeginsNearTheLogarithmOfTheVocabulary) {
  const TextJob job;
  const RunReport found = job.run({"train.lr=1e-12"}, 2);
  // Of the last layer's initial values, whose logits of layer norm's rows have the variance 1/3.
  EXPECT_NEAR(found.loss.front(), std::log(kCharacters), 0.4);
  EXPECT_NEAR(job.run({"model.layers=[]", "model.name=bigram"}, 1).loss.front(),
              std::log(kCharacters), 0.01);
}

// Of the positions of a whole batch together.
TEST(TextTraining, LossIsTorchsOverAllPositions) {
  const TextJob job;
  const PreparedJob prepared = job.prepared_with({"model.layers=[]", "model.name=bigram"}, 1);
  const auto block = prepared.chain.build(0, 5, at::kDouble);
  const at::Tensor table = block->parameters().front();
  const auto batch = std::make_shared<Batch>();
  prepared.data.train->read(std::vector<std::int64_t>{0, 3, 4}, *batch);
  const StepBatch tensors = as_tensors(batch, at::kDouble);
  EXPECT_EQ(tensors.inputs.scalar_type(), at::kLong);
  EXPECT_EQ(tensors.targets.sizes(), (std::vector<std::int64_t>{3, 10}));
  const LossSums sums = loss_sums(LossKind::cross_entropy, at::embedding(table, tensors.inputs),
                                  tensors.targets, true);
  const at::Tensor expected = torch::nn::functional::cross_entropy(
      table.index_select(0, tensors.inputs.flatten()), tensors.targets.flatten());
  EXPECT_EQ(sums.weight, 30);
  EXPECT_NEAR(sums.loss.item<double>() / sums.weight, expected.item<double>(), 1e-12);
  const auto own = torch::autograd::grad({sums.loss / sums.weight}, {table}).at(0);
  EXPECT_TRUE(at::allclose(own, torch::autograd::grad({expected}, {table}).at(0), 1e-12, 1e-12));
}

TEST(TextTraining, LearnsWhatFollowsWhat) {
  const TextJob job;
  const Settings longer{"train.steps=120", "train.lr=0.02",
                        "train.metrics=[\"perplexity\", \"top3\", \"f1\"]"};
  const EvaluationReport one = job.run(longer, 1).evaluations.back();
  EXPECT_LT(one.loss, 0.5);
  EXPECT_GT(one.accuracy, 0.8);
  EXPECT_LE(one.accuracy, 1);
  EXPECT_EQ(one.positions, 10);
  EXPECT_NEAR(one.metrics.at(0).second, std::exp(one.loss), 1e-9);
  EXPECT_GT(one.metrics.at(1).second, one.accuracy);
  const EvaluationReport three = job.run(longer, 3).evaluations.back();
  EXPECT_EQ(three.accuracy, one.accuracy);
  EXPECT_NEAR(three.metrics.at(2).second, one.metrics.at(2).second, 1e-9);
}

TEST(TextTraining, EveryPrecisionKeepsIds) {
  const TextJob job;
  for (const char* precision : {"fp32", "fp64", "bf16", "fp16"}) {
    const RunReport found =
        job.run({fmt::format("train.precision={}", precision), "train.steps=40"}, 2);
    EXPECT_LT(found.loss.back(), 0.9 * found.loss.front()) << precision;
  }
}

TEST(TextTraining, AFrozenEmbeddingStaysAsItWas) {
  const TextJob job;
  const RunReport expected = job.run({"freeze.parameters=[\"0.*\"]"}, 1);
  EXPECT_LT(largest_relative_gap(job.run({"freeze.blocks=1"}, 3).loss, expected.loss), 1e-9);
}

TEST(TextTraining, RefusesWhatTextDoesNotHave) {
  const TextJob job;
  const auto refused = [&](const Settings& settings) -> std::string {
    try {
      (void)job.prepared_with(settings, 1);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({"augment.mixup=0.2"}), HasSubstr("samples of ids, which cannot be mixed"));
  EXPECT_THAT(refused({"data.task=regression"}), HasSubstr("text has classes"));
  EXPECT_THAT(refused({"model.loss=mean_squared"}),
              HasSubstr("14 classes at each of 10 positions"));
  EXPECT_THAT(refused({"train.metrics=[\"auc\"]"}),
              HasSubstr("14 classes at each of 10 positions"));
  EXPECT_THAT(refused({"model.layers=[]", "model.name=softmax"}), HasSubstr("begin with"));
}

}  // namespace
}  // namespace shoal

// Losses, weights of classes and clipping give the same on any number of workers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/train/loss_form.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kNumbers = R"(
seed = 5
[model]
layers = [[{linear = 16}, "tanh"], {linear = 1}]
[data]
name = "random"
task = "regression"
shape = [12]
size = 210
test_size = 70
[train]
steps = 8
batch = 50
lr = 0.05
precision = "fp64"
)";

void expect_the_single_workers_trajectory(const Settings& settings, const char* text = kJob) {
  const RunReport expected = run_all(prepared(settings, 1, text)).front();
  const std::string shown = ::testing::PrintToString(settings);
  for (const int workers : {2, 3}) {
    const auto found = run_all(prepared(settings, workers, text)).front();
    EXPECT_LT(largest_relative_gap(found.loss, expected.loss), 1e-9) << shown << workers;
    EXPECT_NEAR(found.evaluations.back().loss, expected.evaluations.back().loss, 1e-9) << shown;
  }
  Settings staged = settings;
  staged.insert(staged.end(), {"parallel.mesh={pipe=2}", "pipeline.microbatches=3"});
  const auto found = run_all(prepared(staged, 2, text)).front();
  EXPECT_LT(largest_relative_gap(found.loss, expected.loss), 1e-9) << shown << " in stages";
}

TEST(Losses, EachFollowsTheSingleWorker) {
  expect_the_single_workers_trajectory({"train.label_smoothing=0.1"});
  expect_the_single_workers_trajectory({"train.class_weights=balanced"});
  expect_the_single_workers_trajectory(
      {"train.class_weights=[0, 1, 2, 3, 0.5, 1, 1, 9, 1, 1]", "train.label_smoothing=0.2"});
  for (const char* loss : {"mean_squared", "mean_absolute", "huber"}) {
    expect_the_single_workers_trajectory(
        {std::string("model.loss=") + loss, "train.huber_delta=0.3"}, kNumbers);
  }
}

// Labels that depend on the inputs: 0.3 and more of one, the larger of two, all three together.
std::string table_of_labels(int rows) {
  std::string text = "a,b,c,high,more,all\n";
  for (int i = 0; i < rows; ++i) {
    const double a = std::sin(i * 1.7), b = std::sin(i * 2.9 + 1), c = std::cos(i * 0.8);
    text += fmt::format("{},{},{},{:d},{:d},{:d}\n", a, b, c, a > 0.3, b > c, a + b + c > 0);
  }
  return text;
}

Settings labels_in(const TempFolder& folder) {
  std::ofstream(folder / "t.csv") << table_of_labels(170);
  return {"data.name=csv", fmt::format("data.path={}", (folder / "t.csv").string()),
          "data.labels=[\"high\", \"more\", \"all\"]", "data.task=multi-label",
          "model.layers=[[{linear = 16}, \"tanh\"], {linear = 3}]"};
}

TEST(Losses, OfSeveralLabelsFollowsTheSingleWorker) {
  const TempFolder folder;
  Settings settings = labels_in(folder);
  expect_the_single_workers_trajectory(settings, kNumbers);
  settings.emplace_back("train.pos_weight=[1, 0.5, 3]");
  expect_the_single_workers_trajectory(settings, kNumbers);
  settings.back() = "train.pos_weight=balanced";
  expect_the_single_workers_trajectory(settings, kNumbers);
  settings.back() = "data.task=regression";
  expect_the_single_workers_trajectory(settings, kNumbers);
}

TEST(Losses, SeveralLabelsAreLearned) {
  const TempFolder folder;
  Settings settings = labels_in(folder);
  settings.insert(settings.end(),
                  {"train.steps=200", "train.lr=0.5", "train.evaluate_batch=7",
                   "train.metrics=[\"exact_match\", \"f1\", \"f1_micro\", \"auc\"]"});
  std::vector<EvaluationReport> found;
  for (const int workers : {1, 3}) {
    found.push_back(run_all(prepared(settings, workers, kNumbers)).front().evaluations.back());
  }
  EXPECT_GT(found[0].accuracy, 0.85);
  EXPECT_LE(found[0].accuracy, 1);
  EXPECT_EQ(found[0].samples, 34);
  EXPECT_EQ(found[0].accuracy, found[1].accuracy);
  for (std::size_t i = 0; i < found[0].metrics.size(); ++i) {
    EXPECT_NEAR(found[0].metrics[i].second, found[1].metrics[i].second, 1e-9);
    EXPECT_GT(found[0].metrics[i].second, 0.6) << found[0].metrics[i].first;
  }
}

TEST(Losses, BalancedLabelsWeighWithoutByWith) {
  const TempFolder folder;
  const auto data = open_data(prepared(labels_in(folder), 1, kNumbers).job.data, 5);
  TrainOptions options;
  options.pos_weight = "balanced";
  const LossForm form = loss_form(options, LossKind::binary_cross_entropy, *data.train);
  double with = 0;
  for (std::int64_t id = 0; id < data.train->size(); ++id) {
    Batch batch;
    data.train->read(std::vector<std::int64_t>{id}, batch);
    with += batch.targets.at(0);
  }
  ASSERT_EQ(form.pos_weight.size(), 3u);
  EXPECT_DOUBLE_EQ(form.pos_weight[0], (static_cast<double>(data.train->size()) - with) / with);
}

TEST(Losses, WhatTrainingAddsIsNotInAnEvaluation) {
  const Settings none{"train.lr=1e-12"};
  Settings formed = none;
  formed.insert(formed.end(), {"train.label_smoothing=0.3", "train.class_weights=balanced"});
  const RunReport plain = run(none, 2), found = run(formed, 2);
  EXPECT_NEAR(found.evaluations.back().loss, plain.evaluations.back().loss, 1e-9);
  EXPECT_GT(std::abs(found.loss.front() - plain.loss.front()), 1e-3);
}

TEST(Losses, BalancedWeightsGiveEveryClassTheSameWeight) {
  const auto data = open_data(prepared({}, 1).job.data, 11);
  TrainOptions options;
  options.class_weights = "balanced";
  const LossForm form = loss_form(options, LossKind::cross_entropy, *data.train);
  ASSERT_EQ(form.class_weights.size(), 10u);
  std::vector<double> weight_of_class(10, 0.0);
  for (std::int64_t id = 0; id < data.train->size(); ++id) {
    Batch batch;
    data.train->read(std::vector<std::int64_t>{id}, batch);
    const auto label = static_cast<std::size_t>(batch.labels.at(0));
    weight_of_class[label] += form.class_weights[label];
  }
  EXPECT_THAT(weight_of_class, ::testing::Each(::testing::DoubleNear(21, 1e-9)));
}

TEST(Losses, ClippingByValueIsOfTheMeanGradient) {
  const Settings free{"train.momentum=0", "train.lr=0.5"};
  Settings clipped = free;
  clipped.push_back("train.clip_value=0.01");
  expect_the_single_workers_trajectory(clipped);
  clipped.push_back("train.clip_norm=0.2");
  expect_the_single_workers_trajectory(clipped);
  EXPECT_GT(std::abs(run(clipped, 1).loss.back() - run(free, 1).loss.back()), 1e-3);
}

// No element of a weight moves farther than rate x clip_value in a step of plain descent, and some
// do so.
TEST(Losses, ClippingByValueBoundsEveryStep) {
  const PreparedJob job =
      prepared({"train.momentum=0", "train.lr=0.5", "train.clip_value=0.01", "train.batch=7"}, 2);
  run_ranks(2, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    std::vector<at::Tensor> before;
    for (const auto& held : trainer.model().held()) before.push_back(held.tensor.detach().clone());
    trainer.step();
    double largest = 0;
    std::size_t i = 0;
    for (const auto& held : trainer.model().held()) {
      const double moved = (held.tensor.detach() - before[i++]).abs().max().item<double>();
      largest = std::max(largest, moved);
    }
    EXPECT_NEAR(largest, 0.5 * 0.01, 1e-12);
  });
}

TEST(Losses, TheFullBatchIsOneUpdateAnEpoch) {
  const Settings number{"train.batch=210", "train.steps=none", "train.epochs=4"};
  const Settings all{"train.batch=all", "train.steps=none", "train.epochs=4"};
  const RunReport expected = run(number, 1);
  ASSERT_EQ(expected.loss.size(), 4u);
  EXPECT_EQ(run(all, 1).weights_sha256, expected.weights_sha256);
  for (const int workers : {2, 3}) {
    EXPECT_LT(largest_relative_gap(run(all, workers).loss, expected.loss), 1e-9);
  }
}

std::vector<std::string> refused(const Settings& settings, const char* text = kJob) {
  try {
    prepared(settings, 1, text);
  } catch (const InvalidInput& error) {
    return error.faults;
  }
  return {};
}

TEST(Losses, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refused({"train.label_smoothing=0.1", "train.class_weights=balanced"}, kNumbers),
              ElementsAre(HasSubstr("label_smoothing is for classes"),
                          HasSubstr("class_weights is for classes")));
  EXPECT_THAT(refused({"train.class_weights=[1, 2]"}),
              ElementsAre(HasSubstr("class_weights has 2 weights, and")));
  for (const char* weights : {"\"even\"", "[]", "[0, 0]", "[-1, 2]", "[\"a\"]", "3"}) {
    EXPECT_THAT(refused({std::string("train.class_weights=") + weights}),
                ElementsAre(HasSubstr("class_weights is ")))
        << weights;
  }
  EXPECT_THAT(refused({"train.label_smoothing=1", "train.huber_delta=0"}),
              ElementsAre(HasSubstr("label_smoothing is 1"), HasSubstr("huber_delta is 0")));
  EXPECT_THAT(refused({"train.batch=none"}),
              ElementsAre(HasSubstr("expected an integer or \"all\"")));
  EXPECT_THAT(refused({"train.batch=0"}), ElementsAre(HasSubstr("batch is 0")));
  EXPECT_THAT(refused({"model.loss=huber"}), ElementsAre(HasSubstr("\"huber\" needs numbers")));
  EXPECT_THAT(refused({"model.loss=cross_entropy"}, kNumbers),
              ElementsAre(HasSubstr("needs classes")));
  const TempFolder folder;
  Settings labels = labels_in(folder);
  labels.emplace_back("train.pos_weight=[1]");
  EXPECT_THAT(refused(labels, kNumbers), ElementsAre(HasSubstr("pos_weight has 1 weights, and")));
  labels.back() = "train.class_weights=balanced";
  EXPECT_THAT(refused(labels, kNumbers), ElementsAre(HasSubstr("class_weights is for classes")));
  labels.back() = "model.loss=cross_entropy";
  EXPECT_THAT(refused(labels, kNumbers), ElementsAre(HasSubstr("has 3 labels of 0 and 1: use")));
  labels.back() = "train.early_stop_metric=accuracy";
  EXPECT_THAT(refused(labels, kNumbers), IsEmpty());
  EXPECT_THAT(refused({"train.pos_weight=balanced"}),
              ElementsAre(HasSubstr("pos_weight is for labels of 0 and 1")));
  EXPECT_THAT(refused({"train.pos_weight=[-1]"}), ElementsAre(HasSubstr("pos_weight is ")));
  EXPECT_THAT(refused({"model.loss=hubert"}), ElementsAre(HasSubstr("loss is 'hubert'")));
}

}  // namespace
}  // namespace shoal

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
  EXPECT_THAT(refused({"model.loss=hubert"}), ElementsAre(HasSubstr("loss is 'hubert'")));
}

}  // namespace
}  // namespace shoal

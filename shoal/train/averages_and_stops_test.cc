// The moving average of weights, early stopping, and what a resumed run knows of both.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "shoal/checkpoint/index.h"
#include "shoal/core/error.h"
#include "shoal/train/early_stop.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(MovingAverage, IsEvaluatedInPlaceOfTheWeights) {
  const Settings averaged{"train.ema_decay=0.8"};
  const RunReport plain = run({}, 1), expected = run(averaged, 1);
  EXPECT_EQ(expected.weights_sha256, plain.weights_sha256);  // training goes on as without it
  EXPECT_TRUE(expected.evaluations.back().averaged);
  EXPECT_FALSE(plain.evaluations.back().averaged);
  EXPECT_GT(std::abs(expected.evaluations.back().loss - plain.evaluations.back().loss), 1e-3);
  for (const int workers : {2, 3}) {
    EXPECT_NEAR(run(averaged, workers).evaluations.back().loss, expected.evaluations.back().loss,
                1e-9);
  }
}

TEST(MovingAverage, FollowsTheWeightsByItsDecay) {
  const PreparedJob job = prepared({"train.ema_decay=0.75", "freeze.parameters=[\"0.*\"]"}, 2);
  run_ranks(2, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    std::map<std::string, at::Tensor> expected;
    for (int step = 0; step < 4; ++step) {
      trainer.step();
      for (const HeldTensor& held : trainer.model().held()) {
        if (held.role != "parameter") continue;
        const at::Tensor weights = held.tensor.detach().clone();
        expected[held.name] = step == 0 ? weights : expected[held.name] * 0.75 + weights * 0.25;
      }
    }
    int averages = 0;
    for (const HeldTensor& held : trainer.model().held()) {
      if (held.role != "average") continue;
      ++averages;
      const std::string name = held.name.substr(0, held.name.find('#'));
      EXPECT_FALSE(name.starts_with("0."));  // what is not trained has none
      EXPECT_LT((held.tensor - expected.at(name)).abs().max().item<double>(), 1e-14) << name;
    }
    EXPECT_GT(averages, 4);
  });
}

TEST(MovingAverage, GoesThroughACheckpointToTheBit) {
  const TempFolder folder;
  const std::string path = fmt::format("checkpoint.path={}", (folder / "a").string());
  const Settings settings{"train.ema_decay=0.9", "train.optimizer=adamw", path};
  const RunReport expected = run({settings[0], settings[1]}, 3);
  Settings first = settings;
  first.push_back("train.steps=4");
  run(first, 3);
  const RunReport resumed = run_all(prepared(settings, 3), /*resume=*/true).front();
  EXPECT_EQ(resumed.first_step, 4);
  EXPECT_EQ(resumed.evaluations.back().loss, expected.evaluations.back().loss);

  // Evaluated from the checkpoint by one worker.
  const PreparedJob alone = prepared({settings[0], settings[1]}, 1);
  run_ranks(1, alone.job.comm, [&](World& world) {
    Trainer trainer(world, alone, {});
    trainer.load_weights(step_folder(folder / "a", 9));
    const EvaluationReport report = trainer.evaluate(*alone.data.test, "test");
    EXPECT_TRUE(report.averaged);
    EXPECT_NEAR(report.loss, expected.evaluations.back().loss, 1e-12);
  });
}

TEST(MovingAverage, ACheckpointWithoutOneIsRefused) {
  const TempFolder folder;
  const std::string path = fmt::format("checkpoint.path={}", (folder / "a").string());
  run({path, "train.steps=2"}, 1);
  const PreparedJob resumes = prepared({path, "train.ema_decay=0.9"}, 1);
  EXPECT_THROW(run_all(resumes, /*resume=*/true), InvalidInput);
  const PreparedJob evaluates = prepared({"train.ema_decay=0.9"}, 1);
  run_ranks(1, evaluates.job.comm, [&](World& world) {
    Trainer trainer(world, evaluates, {});
    try {
      trainer.load_weights(step_folder(folder / "a", 2));
      FAIL() << "there is no average";
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("has no moving average"));
    }
  });
}

EvaluationReport with_loss(double loss, double accuracy = 0) {
  return {.set = "validation", .loss = loss, .accuracy = accuracy};
}

TEST(EarlyStop, CountsEvaluationsWithoutImprovement) {
  EarlyStop stop({.patience = 2, .min_delta = 0.1});
  EXPECT_TRUE(stop.is_best(with_loss(1.0), 10));
  EXPECT_FALSE(stop.is_best(with_loss(0.95), 20));  // less than min_delta
  EXPECT_FALSE(stop.stops());
  EXPECT_TRUE(stop.is_best(with_loss(0.8), 30));
  EXPECT_FALSE(stop.is_best(with_loss(std::nan("")), 40));
  EXPECT_FALSE(stop.stops());
  EXPECT_FALSE(stop.is_best(with_loss(2.0), 50));
  EXPECT_TRUE(stop.stops());
  EXPECT_EQ(stop.best_step(), 30);
  EXPECT_EQ(
      stop.reason(),
      "the validation loss has not fallen in 2 evaluations: the best was 0.8000 after step 30");
}

TEST(EarlyStop, AccuracyHasToRise) {
  EarlyStop stop({.patience = 1, .metric = StopMetric::accuracy});
  EXPECT_TRUE(stop.is_best(with_loss(1, 0.5), 1));
  EXPECT_TRUE(stop.is_best(with_loss(2, 0.6), 2));
  EXPECT_FALSE(stop.is_best(with_loss(0, 0.6), 3));
  EXPECT_TRUE(stop.stops());
  EXPECT_THAT(stop.reason(), HasSubstr("accuracy has not risen in 1 evaluation:"));
}

TEST(EarlyStop, IsOffWithoutPatienceAndComesBackFromItsState) {
  EarlyStop off({});
  for (int i = 0; i < 9; ++i) off.is_best(with_loss(i), i);
  EXPECT_FALSE(off.stops());
  EarlyStop first({.patience = 2}), second({.patience = 2});
  first.is_best(with_loss(1), 3);
  first.is_best(with_loss(2), 6);
  second.restore(nlohmann::json::parse(first.state().dump()));
  EXPECT_EQ(second.state(), first.state());
  EXPECT_EQ(second.evaluated_step(), 6);
  second.is_best(with_loss(3), 9);
  EXPECT_TRUE(second.stops());
}

// 147 samples are left to train on: 3 steps an epoch.
Settings stopping_job() {
  return {"train.steps=none",
          "train.epochs=30",
          "data.validation=0.3",
          "train.evaluate_every=1",
          "train.early_stop_patience=2",
          "train.early_stop_min_delta=0.02"};
}

TEST(EarlyStop, AllWorkersStopAtTheSameStepAndKeepTheBest) {
  const RunReport expected = run(stopping_job(), 1);
  EXPECT_LT(expected.steps, 90);
  EXPECT_GT(expected.best_step, 3);
  EXPECT_EQ(expected.steps, expected.best_step + 6);
  EXPECT_THAT(expected.stopped_early, HasSubstr("has not fallen in 2 evaluations"));
  for (const int workers : {2, 3}) {
    const TempFolder folder;
    Settings settings = stopping_job();
    settings.insert(settings.end(), {fmt::format("checkpoint.path={}", (folder / "a").string()),
                                     "checkpoint.every_steps=3", "checkpoint.keep=1"});
    for (const RunReport& report : run_all(prepared(settings, workers))) {
      EXPECT_EQ(report.steps, expected.steps);
      EXPECT_EQ(report.best_step, expected.best_step);
      EXPECT_EQ(report.stopped_early, expected.stopped_early);
      EXPECT_THAT(report.stopped_by, IsEmpty());
    }
    std::vector<std::int64_t> left;
    for (const auto& found : step_folders(folder / "a")) left.push_back(step_of_folder(found));
    EXPECT_THAT(left, ::testing::UnorderedElementsAre(expected.best_step, expected.steps));
  }
}

// Stopped in the middle, once by a checkpoint that was begun before its step's evaluation.
TEST(EarlyStop, AResumedRunStopsWhereTheUndisturbedOneDoes) {
  const RunReport expected = run(stopping_job(), 2);
  for (const std::int64_t stop : {expected.best_step, expected.best_step + 1}) {
    const TempFolder folder;
    Settings settings = stopping_job();
    settings.insert(settings.end(), {fmt::format("checkpoint.path={}", (folder / "a").string()),
                                     "checkpoint.every_steps=3", "checkpoint.keep=1"});
    Settings first = settings;
    first.push_back(fmt::format("train.steps={}", stop));
    run(first, 2);
    const RunReport resumed = run_all(prepared(settings, 2), /*resume=*/true).front();
    EXPECT_EQ(resumed.first_step, stop);
    EXPECT_EQ(resumed.steps, expected.steps);
    EXPECT_EQ(resumed.best_step, expected.best_step);
    EXPECT_EQ(resumed.weights_sha256, expected.weights_sha256);
    EXPECT_TRUE(
        std::filesystem::exists(step_folder(folder / "a", expected.best_step) / "index.json"));
    // Once more: there is nothing left to do.
    const RunReport again = run_all(prepared(settings, 2), /*resume=*/true).front();
    EXPECT_EQ(again.steps, expected.steps);
  }
}

std::vector<std::string> faults_with(const Settings& settings) {
  try {
    prepared(settings, 1);
  } catch (const InvalidInput& error) {
    return error.faults;
  }
  return {};
}

TEST(EarlyStop, RefusesWhatCannotBeEvaluated) {
  EXPECT_THAT(faults_with({"train.early_stop_patience=3"}),
              ElementsAre(HasSubstr("there are none: set evaluate_every"),
                          HasSubstr("needs a validation set")));
  EXPECT_THAT(faults_with({"train.early_stop_patience=-1", "train.early_stop_min_delta=-1",
                           "train.ema_decay=1"}),
              ElementsAre(HasSubstr("ema_decay is 1"), HasSubstr("early_stop_patience is -1"),
                          HasSubstr("early_stop_min_delta is -1")));
}

}  // namespace
}  // namespace shoal

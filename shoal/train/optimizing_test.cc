// What changes weights gives the same on any number of workers: optimizers, weight decay, rates.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "shoal/core/error.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string>& every_optimizer() {
  static const std::vector<std::string> all{"sgd",     "adam", "adamw", "rmsprop",
                                            "adagrad", "lamb", "lars"};
  return all;
}

TEST(Optimizing, EveryOptimizerFollowsTheSingleWorker) {
  for (const std::string& optimizer : every_optimizer()) {
    const Settings settings{"train.optimizer=" + optimizer, "train.weight_decay=0.01",
                            "train.decay_vectors=false", "train.lr=0.01",
                            "train.trust_coefficient=0.1"};
    const RunReport expected = run(settings, 1);
    for (const int workers : {2, 3}) {
      EXPECT_LT(largest_relative_gap(run(settings, workers).loss, expected.loss), 1e-9)
          << optimizer << " on " << workers;
    }
    Settings staged = settings;
    staged.insert(staged.end(), {"parallel.mesh={pipe=2}", "pipeline.microbatches=2"});
    EXPECT_LT(largest_relative_gap(run(staged, 2).loss, expected.loss), 1e-9) << optimizer;
  }
}

TEST(Optimizing, StatesOfEveryOptimizerGoThroughACheckpoint) {
  for (const std::string& optimizer : every_optimizer()) {
    const TempFolder folder;
    Settings settings{"train.optimizer=" + optimizer, "train.amsgrad=true", "train.centered=true",
                      fmt::format("checkpoint.path={}", (folder / "a").string())};
    const RunReport expected = run({settings.begin(), settings.begin() + 3}, 2);
    Settings first = settings;
    first.push_back("train.steps=4");
    run(first, 2);
    const RunReport resumed = run_all(prepared(settings, 2), /*resume=*/true).front();
    EXPECT_EQ(resumed.first_step, 4);
    EXPECT_EQ(resumed.weights_sha256, expected.weights_sha256) << optimizer;
  }
}

std::map<std::string, at::Tensor> weights_after_a_step(Settings settings) {
  std::map<std::string, at::Tensor> weights;
  settings.push_back("train.lr=0.1");
  const PreparedJob job = prepared(settings, 1);
  run_ranks(1, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    trainer.step();
    for (const HeldTensor& held : trainer.model().held()) {
      if (held.role == "parameter") weights[held.name] = held.tensor.detach().clone();
    }
  });
  return weights;
}

// After one step gradients are the same whatever is decayed, so each parameter is that of a run
// in which everything is, or nothing.
TEST(Optimizing, DecaysWhatItIsToldTo) {
  for (const std::string& optimizer : every_optimizer()) {
    if (optimizer == "lamb" || optimizer == "lars")
      continue;  // what they leave out has other rates
    const Settings kind{"train.optimizer=" + optimizer};
    Settings all = kind, groups = kind;
    all.push_back("train.weight_decay=0.5");
    groups.insert(groups.end(), {"train.weight_decay=0.5", "train.decay_vectors=false",
                                 "train.no_decay=[\"3.*\"]"});
    const auto decayed = weights_after_a_step(all), plain = weights_after_a_step(kind);
    int of_each[2] = {0, 0};
    for (const auto& [name, found] : weights_after_a_step(groups)) {
      const bool decays = found.dim() > 1 && !name.starts_with("3.");
      ++of_each[decays];
      EXPECT_TRUE(at::equal(found, (decays ? decayed : plain).at(name))) << optimizer << name;
      EXPECT_FALSE(at::equal(found, (decays ? plain : decayed).at(name)) && found.dim() > 1)
          << optimizer << name;
    }
    EXPECT_GT(of_each[0], 3);
    EXPECT_GT(of_each[1], 1);
  }
}

class Told final : public Observer {
 public:
  std::vector<double> rates;
  std::vector<std::string> warnings;
  void after_step(const StepReport& report) override {
    const std::lock_guard lock(mutex_);
    rates.push_back(report.rate);
  }
  void warned(const std::string& sentence) override {
    const std::lock_guard lock(mutex_);
    warnings.push_back(sentence);
  }

 private:
  std::mutex mutex_;  // the ranks are threads
};

TEST(Optimizing, WarmsUpFromTheBaseRateToItsMultiple) {
  Told told;
  run_all(prepared({"train.lr=0.1", "train.lr_scaling=linear", "train.warmup_from=lr",
                    "train.warmup_steps=4", "train.steps=6"},
                   3),
          false, {&told});
  std::sort(told.rates.begin(), told.rates.end());  // three ranks tell of six steps
  std::vector<double> expected;
  for (const double rate : {0.1, 0.15, 0.2, 0.25, 0.3, 0.3})
    expected.insert(expected.end(), 3, rate);
  EXPECT_THAT(told.rates, ::testing::Pointwise(::testing::DoubleNear(1e-15), expected));
}

// Goyal et al. 2017: with the rate in proportion and warm-up, eight times the batch costs nothing.
TEST(Optimizing, EightTimesTheBatchLearnsAsWellWithWarmUp) {
  const char* text = R"(
seed = 3
[model]
name = "mlp"
hidden = [32]
[data]
name = "random"
shape = [20]
size = 4096
test_size = 2000
[train]
epochs = 5
batch = 16
lr = 0.02
momentum = 0.9
lr_schedule = "cosine"
)";
  const auto tested = [&](const Settings& settings, int workers) {
    return run_all(prepared(settings, workers, text)).front().evaluations.back();
  };
  const Settings large{"train.batch=128", "train.lr_scaling=batch", "train.lr_base_batch=16",
                       "train.warmup_steps=32", "train.warmup_from=lr"};
  const EvaluationReport base = tested({}, 1), eight_times = tested(large, 2);
  const EvaluationReport unscaled = tested({"train.batch=128"}, 2);
  EXPECT_GT(base.accuracy, 0.9);
  EXPECT_NEAR(eight_times.accuracy, base.accuracy, 0.01);
  EXPECT_NEAR(eight_times.loss, base.loss, 0.03);
  EXPECT_GT(std::abs(unscaled.loss - base.loss), std::abs(eight_times.loss - base.loss));
}

TEST(Optimizing, SaysWhatHasNoEffect) {
  Told told;
  run_all(prepared({"train.steps=1", "train.beta1=0.5", "train.lr_power=2"}, 2), false, {&told});
  EXPECT_THAT(told.warnings, ::testing::ElementsAre(HasSubstr("beta1 has no effect"),
                                                    HasSubstr("lr_power has no")));
}

TEST(Optimizing, RefusesAPatternThatNoParameterMatches) {
  try {
    prepared({"train.no_decay=[\"9.*\", \"0.conv.bias\"]", "train.weight_decay=0.1"}, 1);
    FAIL() << "there is no block 9";
  } catch (const InvalidInput& error) {
    ASSERT_EQ(error.faults.size(), 1u);
    EXPECT_THAT(error.what(), HasSubstr("no_decay has \"9.*\", which no parameter"));
    EXPECT_THAT(error.what(), HasSubstr("such as 0.conv.weight"));
  }
}

}  // namespace
}  // namespace shoal

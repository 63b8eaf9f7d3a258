// Steps that are not finite: they stop the run or are skipped, on all workers alike.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "shoal/core/error.h"
#include "shoal/train/loss_scale.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Sentences final : public Observer {
 public:
  std::vector<std::string> said;
  std::vector<std::int64_t> skipped;  // steps, as rank 0 and the others tell
  void warned(const std::string& sentence) override {
    const std::lock_guard lock(mutex_);
    said.push_back(sentence);
  }
  void after_step(const StepReport& report) override {
    const std::lock_guard lock(mutex_);
    if (report.skipped) skipped.push_back(report.step);
  }

 private:
  std::mutex mutex_;  // the ranks are threads
};

// 40 rows in batches of 8, read in order; row 17 is in step 3 of each epoch of 5.
class OneBadRow {
 public:
  explicit OneBadRow(const std::string& value = "nan") {
    std::ofstream csv(folder_ / "x.csv");
    for (int i = 0; i < 40; ++i) {
      csv << i % 7 << "," << (i == 17 ? value : std::to_string(i % 5)) << "," << i % 2 << "\n";
    }
  }
  std::string job(const std::string& more) const {
    return fmt::format(R"(
[model]
layers = [{{linear = 6}}, ["batch_norm", "relu"], {{linear = 2}}]
[data]
name = "csv"
path = "{}"
test = 0
normalize = "none"
shuffle = false
allow_non_finite = true
[train]
steps = 10
batch = 8
lr = 0.05
{}
)",
                       (folder_ / "x.csv").string(), more);
  }
  std::string path() const { return fmt::format("checkpoint.path={}", (folder_ / "a").string()); }
  std::filesystem::path folder() const { return folder_ / "a"; }

 private:
  TempFolder folder_;
};

std::string failure_of(const PreparedJob& job) {
  try {
    run_all(job);
  } catch (const NotFinite& error) {
    return error.what();
  }
  return "";
}

TEST(NotFiniteSteps, AreSkippedOnAllWorkersAlike) {
  const OneBadRow data;
  const std::string text = data.job("non_finite = \"skip\"");
  for (const int workers : {1, 2, 3}) {
    const PreparedJob job = prepared({}, workers, text.c_str());
    Sentences told;
    const std::vector<RunReport> reports = run_all(job, false, {&told});
    EXPECT_THAT(told.said,
                ElementsAre("step 3: the input is not finite: the step is skipped; there is no "
                            "checkpoint to go back to",
                            HasSubstr("step 8: the input is not finite: the step is skipped")));
    EXPECT_THAT(told.skipped, SizeIs(2 * workers));
    EXPECT_THAT(told.skipped, Each(::testing::AnyOf(2, 7)));
    for (const RunReport& report : reports) {
      EXPECT_EQ(report.skipped_steps, 2);
      EXPECT_EQ(report.weights_sha256, reports[0].weights_sha256);
      EXPECT_TRUE(std::isnan(report.loss.at(2)));
      EXPECT_TRUE(std::isfinite(report.loss.at(9)));
    }
  }
}

// Also the running statistics of batch norm, which a forward has spoilt by then.
TEST(NotFiniteSteps, LeaveNoTrace) {
  const OneBadRow data;
  const PreparedJob job = prepared({"train.steps=3"}, 2, data.job("non_finite = \"skip\"").c_str());
  run_ranks(2, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    trainer.step();
    trainer.step();
    std::vector<at::Tensor> before;
    for (const auto& held : trainer.model().held()) before.push_back(held.tensor.detach().clone());
    EXPECT_TRUE(trainer.step().skipped);
    std::size_t i = 0;
    for (const auto& held : trainer.model().held()) {
      EXPECT_TRUE(at::equal(held.tensor, before[i++])) << held.name;
    }
    EXPECT_EQ(trainer.model().update_count, 2);
  });
}

TEST(NotFiniteSteps, StopTheRunNamingStepBlockAndCheckpoint) {
  const OneBadRow data;
  const std::string text = data.job("");
  const std::string alone = failure_of(prepared({}, 2, text.c_str()));
  EXPECT_THAT(alone, HasSubstr("step 3: the input is not finite: look for NaN"));
  EXPECT_THAT(alone, HasSubstr("there is no checkpoint to go back to"));
  const std::string kept =
      failure_of(prepared({data.path(), "checkpoint.every_steps=1"}, 2, text.c_str()));
  EXPECT_THAT(kept, HasSubstr("the last complete checkpoint is " +
                              (data.folder() / "step-00000002").string()));
  EXPECT_EQ(Checkpoint(*find_newest(data.folder()).newest).step(), 2);
}

TEST(NotFiniteSteps, TooManyInARowStopTheRun) {
  const OneBadRow data("1");
  const std::string text = data.job("non_finite = \"skip\"\nnon_finite_limit = 3");
  const std::string failure = failure_of(prepared(
      {"train.lr=1e30", "model.layers=[{linear = 6}, \"relu\", {linear = 2}]"}, 2, text.c_str()));
  EXPECT_THAT(failure, HasSubstr("is not finite, and the 3 steps before it were skipped"));
  EXPECT_THAT(failure, HasSubstr("try a lower [train] lr"));
}

TEST(LossScale, HalvesOnOverflowAndDoublesAfterGoodSteps) {
  LossScale scale(true);
  EXPECT_EQ(scale.value(), 65'536);
  for (int i = 0; i < 1'999; ++i) scale.after_good_step();
  EXPECT_EQ(scale.value(), 65'536);
  scale.after_good_step();
  EXPECT_EQ(scale.value(), 131'072);
  scale.after_good_step();
  scale.after_overflow();
  EXPECT_EQ(scale.value(), 65'536);
  for (int i = 0; i < 1'999; ++i) scale.after_good_step();  // counted from the overflow on
  EXPECT_EQ(scale.value(), 65'536);
  LossScale copy(true);
  copy.restore(nlohmann::json::parse(scale.state().dump()));
  copy.after_good_step();
  EXPECT_EQ(copy.value(), 131'072);
  for (int i = 0; i < 40; ++i) copy.after_overflow();
  EXPECT_EQ(copy.value(), 1);
  EXPECT_FALSE(copy.can_fall());
  EXPECT_EQ(LossScale(false).value(), 1);
  EXPECT_FALSE(LossScale(false).can_fall());
}

TEST(Float16, FollowsFloat32AndTheSingleWorker) {
  const Settings half{"train.precision=fp16", "train.clip_norm=5"};
  const RunReport wide = run({"train.precision=fp32", "train.clip_norm=5"}, 1);
  for (const int workers : {1, 2, 3}) {
    const std::vector<RunReport> reports = run_all(prepared(half, workers));
    EXPECT_LT(largest_relative_gap(reports[0].loss, wide.loss), 0.02) << workers;
    EXPECT_NE(reports[0].loss, wide.loss);
    for (const RunReport& report : reports) {
      EXPECT_EQ(report.weights_sha256, reports[0].weights_sha256);
      EXPECT_EQ(report.skipped_steps, 0);
    }
  }
  Settings staged = half;
  staged.insert(staged.end(), {"parallel.mesh={pipe=2}", "pipeline.microbatches=2"});
  EXPECT_LT(largest_relative_gap(run(staged, 2).loss, wide.loss), 0.02);
}

// Errors of 300, whose gradients overflow until the scale has fallen.
class LargeErrors {
 public:
  LargeErrors() {
    std::ofstream csv(folder_ / "x.csv");
    for (int i = 0; i < 48; ++i) csv << i % 5 << "," << i % 3 << "," << 300 + i % 3 << "\n";
  }
  PreparedJob job(const Settings& settings, int workers) const {
    const std::string text = fmt::format(R"(
seed = 5
[model]
layers = [{{linear = 4}}, {{linear = 1}}]
[data]
name = "csv"
path = "{}"
task = "regression"
test = 0
[train]
steps = 14
batch = 16
lr = 0.001
precision = "fp16"
)",
                                         (folder_ / "x.csv").string());
    return prepared(settings, workers, text.c_str());
  }
  std::string path() const { return fmt::format("checkpoint.path={}", (folder_ / "a").string()); }

 private:
  TempFolder folder_;
};

TEST(Float16, AnOverflowIsSkippedOnAllWorkersAndTheScaleFalls) {
  const LargeErrors data;
  std::int64_t skipped_alone = 0;
  for (const int workers : {1, 2, 3}) {
    Sentences told;
    const std::vector<RunReport> reports = run_all(data.job({}, workers), false, {&told});
    if (workers == 1) skipped_alone = reports[0].skipped_steps;
    EXPECT_GT(reports[0].skipped_steps, 2);
    EXPECT_LT(reports[0].skipped_steps, 13);
    EXPECT_NEAR(static_cast<double>(reports[0].skipped_steps), static_cast<double>(skipped_alone),
                2);  // parts have smaller sums
    EXPECT_EQ(told.said.size(), static_cast<std::size_t>(reports[0].skipped_steps));
    EXPECT_EQ(
        told.said.at(0),
        "step 1: a gradient overflows: the step is skipped, and the loss scale falls to 32768");
    EXPECT_LT(reports[0].loss.back(), reports[0].loss.front());
    for (const RunReport& report : reports) {
      EXPECT_EQ(report.weights_sha256, reports[0].weights_sha256);
      EXPECT_EQ(report.skipped_steps, reports[0].skipped_steps);
    }
  }
}

TEST(Float16, TheScaleGoesThroughACheckpoint) {
  const LargeErrors data;
  const RunReport expected = run_all(data.job({}, 2)).front();
  run_all(data.job({data.path(), "train.steps=3"}, 2));
  const RunReport resumed = run_all(data.job({data.path()}, 2), /*resume=*/true).front();
  EXPECT_EQ(resumed.first_step, 3);
  EXPECT_EQ(resumed.skipped_steps, expected.skipped_steps);
  EXPECT_EQ(resumed.weights_sha256, expected.weights_sha256);
}

}  // namespace
}  // namespace shoal

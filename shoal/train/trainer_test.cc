// Every plan trains like its simplest twin: one worker.
#include "shoal/train/trainer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/checkpointing.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

TEST(Trainer, EveryPlanFollowsTheSingleWorker) {
  const RunReport expected = run({}, 1);
  ASSERT_EQ(expected.loss.size(), 9u);
  EXPECT_LT(expected.loss.back(), expected.loss.front());
  const std::vector<std::pair<int, Settings>> plans{
      {2, {}},
      {3, {}},
      {7, {}},
      {3, {"comm.algorithm=ring"}},
      {2, {"execute.lanes=threads", "data_parallel.bucket_bytes=1000"}},
      {1, {"pipeline.microbatches=3"}},
      {2, {"parallel.mesh={pipe=2}", "pipeline.microbatches=3"}},
      {3, {"parallel.mesh={pipe=3}", "pipeline.microbatches=3", "pipeline.schedule=vanilla"}},
      {4, {"parallel.mesh={pipe=2, data=2}", "pipeline.microbatches=3"}},
      {4, {"parallel.mesh={data=2, pipe=2}", "recompute.mode=sqrt", "pipeline.microbatches=2"}},
      {2, {"recompute.mode=every", "recompute.every=2", "execute.lanes=threads"}},
  };
  for (const auto& [workers, settings] : plans) {
    const auto reports = run_all(prepared(settings, workers));
    const std::string plan =
        fmt::format("{} workers, {}", workers, ::testing::PrintToString(settings));
    EXPECT_LT(largest_relative_gap(reports[0].loss, expected.loss), 1e-9) << plan;
    EXPECT_NEAR(reports[0].evaluations.back().loss, expected.evaluations.back().loss, 1e-9) << plan;
    EXPECT_EQ(reports[0].evaluations.back().samples, 70) << plan;
    for (const RunReport& report : reports) {
      EXPECT_EQ(report.weights_sha256, reports[0].weights_sha256) << plan;
      EXPECT_EQ(report.loss, reports[0].loss) << plan;
    }
  }
}

TEST(Trainer, EvaluationIsTheSerialOneToTheBit) {
  const PreparedJob one = prepared({}, 1);
  const PreparedJob five = prepared({}, 5);
  const auto evaluated = [](const PreparedJob& job) {
    EvaluationReport report;
    run_ranks(job.programs.plan.mesh.size(), job.job.comm, [&](World& world) {
      Trainer trainer(world, job, {});
      const EvaluationReport own = trainer.evaluate(*job.data.test, "test");
      if (world.rank() == 0) report = own;
    });
    return report;
  };
  const EvaluationReport expected = evaluated(one), found = evaluated(five);
  EXPECT_EQ(found.loss, expected.loss);  // bits
  EXPECT_EQ(found.accuracy, expected.accuracy);
  EXPECT_EQ(found.samples, 70);
  // Every sample counts the same, also those of the smaller last batch.
  const EvaluationReport at_once = evaluated(prepared({"train.evaluate_batch=70"}, 1));
  EXPECT_NEAR(at_once.loss, expected.loss, 1e-12);
  EXPECT_EQ(at_once.accuracy, expected.accuracy);
}

TEST(Trainer, RecomputationGivesTheSameBitsInLessMemory) {
  std::string layers;
  for (int i = 0; i < 9; ++i) layers += R"([{linear = 64}, "gelu", {dropout = 0.1}], )";
  const std::string text = fmt::format(R"(
[model]
layers = [{}{{linear = 10}}]
[data]
name = "random"
shape = [20]
size = 2000
[train]
steps = 3
batch = 1000
evaluate = false
)",
                                       layers);
  const auto measured = [&](const char* mode) {
    const Settings settings{fmt::format("recompute.mode={}", mode)};
    return run_all(prepared(settings, 1, text.c_str())).front();
  };
  const RunReport expected = measured("none");
  for (const char* mode : {"all", "sqrt"}) {
    const RunReport found = measured(mode);
    EXPECT_EQ(found.weights_sha256, expected.weights_sha256) << mode;
    EXPECT_EQ(found.loss, expected.loss) << mode;
    EXPECT_LT(found.peak_tensor_bytes[0], 0.8 * expected.peak_tensor_bytes[0]) << mode;
    // The bound from the list alone is near what was measured.
    EXPECT_NEAR(static_cast<double>(found.memory_bound[0]) / found.peak_tensor_bytes[0], 1, 0.15)
        << mode;
  }
}

TEST(Trainer, FrozenBlocksKeepTheirWeights) {
  const PreparedJob job = prepared({"freeze.blocks=4"}, 2);
  run_ranks(2, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    const auto before = trainer.model().held();
    std::map<std::string, at::Tensor> initial;
    for (const auto& held : before) initial[held.name] = held.tensor.detach().clone();
    for (int i = 0; i < 3; ++i) trainer.step();
    for (const auto& held : trainer.model().held()) {
      if (held.role != "parameter") continue;
      EXPECT_EQ(at::equal(held.tensor, initial.at(held.name)), held.block < 4) << held.name;
    }
  });
}

TEST(Trainer, ClippingUsesTheGlobalNorm) {
  const Settings clip{"train.clip_norm=0.5", "train.lr=0.5"};
  const RunReport expected = run(clip, 1);
  EXPECT_GT(std::abs(expected.loss.back() - run({"train.lr=0.5"}, 1).loss.back()), 1e-3);
  auto split = clip;
  split.push_back("parallel.mesh={pipe=2, data=2}");
  EXPECT_LT(largest_relative_gap(run(split, 4).loss, expected.loss), 1e-9);
}

TEST(Trainer, NamesStepAndBlockOfWhatIsNotFinite) {
  const TempFolder folder;
  {
    std::ofstream csv(folder / "x.csv");
    for (int i = 0; i < 40; ++i) csv << i % 7 << "," << i << "," << i % 2 << "\n";
  }
  const std::string text = fmt::format(R"(
[model]
layers = [{{linear = 4}}, "relu", {{linear = 2}}]
[data]
name = "csv"
path = "{}"
[train]
steps = 50
batch = 8
lr = 1e30
)",
                                       (folder / "x.csv").string());
  const PreparedJob job = prepared({}, 2, text.c_str());
  try {
    run_all(job);
    FAIL() << "a rate of 1e30 has to end in infinity";
  } catch (const NotFinite& error) {
    EXPECT_GT(error.step, 0);
    EXPECT_THAT(error.what(), HasSubstr("is not finite"));
    EXPECT_FALSE(error.block.empty());
  }
}

TEST(Trainer, AResumedRunIsTheUndisturbedOneToTheBit) {
  const TempFolder folder;
  const std::string path = fmt::format("checkpoint.path={}", (folder / "a").string());
  const RunReport expected = run({"train.optimizer=adamw"}, 3);
  const PreparedJob first =
      prepared({"train.optimizer=adamw", path, "checkpoint.every_steps=2", "train.steps=5"}, 3);
  run_all(first);
  const PreparedJob second =
      prepared({"train.optimizer=adamw", path, "checkpoint.every_steps=2"}, 3);
  const RunReport resumed = run_all(second, /*resume=*/true).front();
  EXPECT_EQ(resumed.first_step, 5);
  EXPECT_EQ(resumed.weights_sha256, expected.weights_sha256);

  // The newest one is torn: the one before it is taken, on another mesh, to rounding.
  const auto newest = find_newest(folder / "a").newest;
  ASSERT_TRUE(newest);
  std::filesystem::resize_file(*newest / "rank-0001.safetensors", 100);
  const PreparedJob other = prepared(
      {"train.optimizer=adamw", path, "parallel.mesh={pipe=2}", "pipeline.microbatches=2"}, 2);
  const RunReport elsewhere = run_all(other, /*resume=*/true).front();
  EXPECT_EQ(elsewhere.first_step, 8);
  EXPECT_LT(std::abs(elsewhere.loss.back() / expected.loss.back() - 1), 1e-9);
}

class Warnings final : public Observer {
 public:
  std::vector<std::string> sentences;
  void warned(const std::string& sentence) override {
    const std::lock_guard lock(mutex_);
    sentences.push_back(sentence);
  }

 private:
  std::mutex mutex_;  // the ranks are threads
};

TEST(Trainer, AResumedRunSaysThatItAddsInAnotherOrder) {
  const TempFolder folder;
  const auto job = [&](const char* algorithm, const char* steps) {
    return prepared({fmt::format("checkpoint.path={}", (folder / "a").string()), steps,
                     std::string("comm.algorithm=") + algorithm},
                    3);
  };
  const auto warnings_of = [](const PreparedJob& resumed) {
    Warnings warnings;
    run_all(resumed, /*resume=*/true, {&warnings});
    return warnings.sentences;
  };
  run_all(job("two_shot", "train.steps=2"));
  EXPECT_THAT(warnings_of(job("two_shot", "train.steps=4")), testing::IsEmpty());
  EXPECT_THAT(warnings_of(job("ring", "train.steps=6")),
              testing::ElementsAre(testing::AllOf(HasSubstr("added in group data by two_shot"),
                                                  HasSubstr("this one by ring"))));
}

TEST(Trainer, RefusesACheckpointOfAnotherModelAndAnotherSeed) {
  const TempFolder folder;
  const std::string path = fmt::format("checkpoint.path={}", (folder / "a").string());
  run_all(prepared({path, "train.steps=2"}, 2));
  const PreparedJob seed = prepared({path, "seed=12"}, 2);
  EXPECT_THROW(run_all(seed, /*resume=*/true), InvalidInput);
  std::string narrower = kJob;
  narrower.replace(narrower.find("linear = 24"), 11, "linear = 23");
  const PreparedJob model = prepared({path}, 2, narrower.c_str());
  try {
    run_all(model, /*resume=*/true);
    FAIL() << "another width is another model";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("[model] layers"), HasSubstr("24"),
                                             HasSubstr("23"), HasSubstr("set it back")));
  }
}

// The facts of a checkpoint that a run with these settings would write.
nlohmann::json stored_tables(const Settings& settings) {
  Job job = prepared(settings, 1).job;
  return to_json(job.tables());
}

std::vector<std::string> resume_refusals(const Settings& settings, const nlohmann::json& stored) {
  return resume_problems(prepared(settings, 1).job, stored);
}

TEST(Resume, WhatIsLearnedFromWhatAndByWhichRuleIsKept) {
  const nlohmann::json stored = stored_tables({});
  EXPECT_THAT(resume_refusals({}, stored), testing::IsEmpty());
  for (const char* setting :
       {"seed=12", "train.batch=49", "train.optimizer=adam", "train.momentum=0.8",
        "train.precision=fp32", "train.weight_decay=0.1", "data.validation=0.5", "data.size=211",
        "data.shuffle=false", "freeze.blocks=1", "model.loss=cross_entropy"}) {
    const std::string key = std::string(setting).substr(0, std::string(setting).find('='));
    const std::string name = key.substr(key.find('.') + 1);
    EXPECT_THAT(
        resume_refusals({setting}, stored),
        testing::Contains(testing::AllOf(HasSubstr(name + " is "), HasSubstr("set it back"))))
        << setting;
  }
}

TEST(Resume, HowLongHowFastAndWhereMayChange) {
  EXPECT_THAT(
      resume_refusals({"train.steps=20", "train.lr=0.1", "train.lr_schedule=cosine",
                       "train.clip_norm=1", "train.evaluate=false", "data.threads=2",
                       "pipeline.microbatches=2", "recompute.mode=all", "comm.algorithm=ring",
                       "execute.threads=2", "metrics.path=/m", "checkpoint.keep=3"},
                      stored_tables({})),
      testing::IsEmpty());
}

TEST(Resume, AKeyThatAnOlderShoalDidNotHaveWasItsDefault) {
  nlohmann::json stored = stored_tables({});
  stored["train"].erase("eps");
  stored["freeze"].erase("blocks");
  EXPECT_THAT(resume_refusals({}, stored), testing::IsEmpty());
  EXPECT_THAT(resume_refusals({"freeze.blocks=1"}, stored),
              testing::ElementsAre(HasSubstr("[freeze] blocks is 0 in the checkpoint and 1 in")));
}

TEST(Resume, OtherNumbersOfSamplesAreOtherData) {
  const DataSplits data = prepared({"data.validation=10"}, 1).data;
  nlohmann::json stored = sizes_of(data);
  EXPECT_EQ(stored["training"], 200);
  EXPECT_EQ(stored["validation"], 10);
  EXPECT_THAT(resume_problems(data, stored), testing::IsEmpty());
  stored["training"] = 199;
  EXPECT_THAT(resume_problems(data, stored),
              testing::ElementsAre(HasSubstr("200 training samples, and 199 in the run")));
}

TEST(Trainer, RefusesToMixANewRunWithAnOlderOnesCheckpoints) {
  const TempFolder folder;
  const std::string path = fmt::format("checkpoint.path={}", (folder / "a").string());
  run_all(prepared({path, "train.steps=2"}, 1));
  EXPECT_THROW(run_all(prepared({path, "train.steps=2"}, 1)), InvalidInput);
}

class AsksToStop final : public Observer {
 public:
  explicit AsksToStop(StopRequest& stop) : stop_(stop) {}
  void after_step(const StepReport& report) override {
    if (report.step == 3) stop_.ask(15);
  }

 private:
  StopRequest& stop_;
};

TEST(Trainer, AStopOfOneRankStopsAllAtTheSameStepWithACheckpoint) {
  const TempFolder folder;
  const PreparedJob job = prepared({fmt::format("checkpoint.path={}", (folder / "a").string())}, 3);
  std::vector<RunReport> reports(3);
  run_ranks(3, job.job.comm, [&](World& world) {
    StopRequest stop;
    AsksToStop observer(stop);
    TrainerOptions options{.observers = {}, .stop = &stop};
    if (world.rank() == 1) options.observers.push_back(&observer);
    Trainer trainer(world, job, options);
    reports[static_cast<std::size_t>(world.rank())] = trainer.run();
  });
  for (const RunReport& report : reports) {
    EXPECT_EQ(report.stopped_by, "SIGTERM");
    EXPECT_EQ(report.steps, 5);  // asked after the fourth, agreed on in the fifth
  }
  EXPECT_EQ(Checkpoint(*find_newest(folder / "a").newest).step(), 5);
}

}  // namespace
}  // namespace shoal

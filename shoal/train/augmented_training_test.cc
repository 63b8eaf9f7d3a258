// Augmentation changes what is trained on, and nothing about how plans agree.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/data/test_files.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;
using Settings = std::vector<std::string>;

constexpr const char* kAugment = R"(
[augment]
crop = "padded"
padding = 2
flip = 0.5
brightness = 0.2
contrast = 0.2
mixup = 0.4
)";

// 60 pictures of 1x8x8 in batches of 16: the last of an epoch has 12.
class AugmentedTrainingTest : public testing::Test {
 protected:
  AugmentedTrainingTest() {
    configure_torch(1);
    std::string pixels = counting(3840);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<char>((i * 29 + i / 64 * 50) % 256);
    }
    std::string labels = counting(60);
    for (char& label : labels) label = static_cast<char>(label % 3);
    folder_.write("x.npy", npy_header("|u1", "(60, 8, 8)") + pixels);
    folder_.write("y.npy", npy_header("|u1", "(60,)") + labels);
  }

  PreparedJob prepared(const std::string& augment, int workers, const Settings& settings = {}) {
    const std::string text =
        fmt::format(R"(
seed = 5
[model]
layers = ["flatten", {{linear = 12}}, "tanh", {{linear = 3}}]
[data]
name = "npy"
path = "{}"
labels_path = "{}"
test = 0
[train]
steps = 6
batch = 16
lr = 0.05
precision = "fp64"
)",
                    (folder_ / "x.npy").string(), (folder_ / "y.npy").string());
    return prepare(read_job(folder_.write("job.toml", text + augment), settings), workers);
  }

  static RunReport run(const PreparedJob& job, bool resume = false) {
    RunReport report;
    run_ranks(job.programs.plan.mesh.size(), job.job.comm, [&](World& world) {
      Trainer trainer(world, job, {.resume = resume, .observers = {}});
      const RunReport own = trainer.run();
      if (world.rank() == 0) report = own;
    });
    return report;
  }

  TempFolder folder_;
};

TEST_F(AugmentedTrainingTest, EveryPlanFollowsTheSingleWorker) {
  const RunReport expected = run(prepared(kAugment, 1));
  ASSERT_EQ(expected.loss.size(), 6u);
  const std::vector<std::pair<int, Settings>> plans{
      {3, {}},
      {3, {"data.threads=3"}},
      {1, {"pipeline.microbatches=3", "data.threads=0"}},
      {4, {"parallel.mesh={pipe=2, data=2}", "pipeline.microbatches=2"}},
  };
  for (const auto& [workers, settings] : plans) {
    const RunReport found = run(prepared(kAugment, workers, settings));
    ASSERT_EQ(found.loss.size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_NEAR(found.loss[i], expected.loss[i], 1e-9 * expected.loss[i]) << workers;
    }
  }
  EXPECT_GT(std::abs(run(prepared("", 1)).loss[0] - expected.loss[0]), 1e-4);
}

TEST_F(AugmentedTrainingTest, AResumedRunIsTheUndisturbedOneToTheBit) {
  const std::string path = fmt::format("checkpoint.path={}", (folder_ / "runs").string());
  const RunReport expected = run(prepared(kAugment, 2));
  run(prepared(kAugment, 2, {path, "train.steps=3"}));
  const RunReport resumed = run(prepared(kAugment, 2, {path}), /*resume=*/true);
  EXPECT_EQ(resumed.first_step, 3);
  EXPECT_EQ(resumed.weights_sha256, expected.weights_sha256);
}

TEST_F(AugmentedTrainingTest, EvaluationSeesThePicturesAsTheyAre) {
  const auto evaluated = [&](const std::string& augment) {
    const PreparedJob job = prepared(augment, 1, {"data.test=20", "data.validation=10"});
    EvaluationReport report;
    run_ranks(1, job.job.comm, [&](World& world) {
      Trainer trainer(world, job, {});
      report = trainer.evaluate(*job.data.train, "train");
    });
    return report.loss;
  };
  EXPECT_EQ(evaluated(kAugment), evaluated(""));
}

TEST_F(AugmentedTrainingTest, IsRefusedBeforeItRunsWhereItCannotBe) {
  const auto refused = [&](const std::string& augment, const Settings& settings) {
    return refusal([&] { prepared(augment, 1, settings); });
  };
  EXPECT_THAT(refused("[augment]\nflip = 0.5\n",
                      {"data.name=random", "data.path=", "data.labels_path=", "data.classes=3"}),
              HasSubstr("random, training part has no pictures of bytes"));
  EXPECT_THAT(refused("[augment]\nflip = 2\n", {}), HasSubstr("augment.flip is 2"));
  EXPECT_EQ(refused("[augment]\nmixup = 1\n",
                    {"data.name=random", "data.path=", "data.labels_path=", "data.classes=3"}),
            "");
  const PreparedJob job = prepared("[augment]\npadding = 3\n", 1);
  EXPECT_THAT(job.job.warnings(), testing::Contains(HasSubstr("[augment] padding has no effect")));
}

}  // namespace
}  // namespace shoal

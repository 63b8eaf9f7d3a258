// What a model says of samples does not depend on who says it; nor does what a run begins with.
#include "shoal/train/prediction.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "shoal/checkpoint/weights.h"
#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// 70 test samples in batches of 16: the last has 6.
Job prediction_job() {
  Job job;
  job.seed = 5;
  job.model.layers = nlohmann::json::parse(
      R"([{"conv": 4, "kernel": 3}, ["batch_norm", "relu", "flatten"], {"linear": 10}])");
  job.data.name = DataName::random;
  job.data.shape = {1, 8, 8};
  job.data.size = 200;
  job.data.test_size = 70;
  job.train.steps = 3;
  job.train.batch = 20;
  job.train.evaluate_batch = 16;
  return job;
}

at::Tensor predicted(const Job& job, int workers) {
  configure_torch(1);
  const PreparedJob ready = prepare(job, workers);
  std::vector<at::Tensor> parts;
  run_ranks(workers, job.comm, [&](World& world) {
    Trainer trainer(world, ready, {});
    trainer.predict(*ready.data.test,
                    [&](const at::Tensor& outputs) { parts.push_back(outputs.clone()); });
  });
  return at::cat(parts);
}

TEST(Prediction, IsTheSameForAnyNumberOfWorkersToTheBit) {
  const Job job = prediction_job();
  const at::Tensor expected = predicted(job, 1);
  EXPECT_EQ(expected.sizes().vec(), (std::vector<std::int64_t>{70, 10}));
  for (const int workers : {2, 3, 7}) {
    EXPECT_TRUE(at::equal(predicted(job, workers), expected)) << workers;
  }
  Job stages = job;
  stages.parallel.mesh = {{"pipe", 2}, {"data", 2}};
  EXPECT_TRUE(at::equal(predicted(stages, 4), expected));
}

TEST(Prediction, HasTheLossThatAnEvaluationFinds) {
  const Job job = prediction_job();
  const PreparedJob ready = prepare(job, 2);
  std::vector<at::Tensor> parts;
  EvaluationReport report;
  run_ranks(2, job.comm, [&](World& world) {
    Trainer trainer(world, ready, {});
    trainer.predict(*ready.data.test,
                    [&](const at::Tensor& outputs) { parts.push_back(outputs.clone()); });
    const EvaluationReport own = trainer.evaluate(*ready.data.test, "test");
    if (world.rank() == 0) report = own;
  });
  Batch batch;
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 70; ++i) ids.push_back(i);
  ready.data.test->read(ids, batch);
  const at::Tensor right =
      at::cat(parts).argmax(1).eq(at::tensor(batch.labels, at::kLong)).to(at::kDouble);
  EXPECT_DOUBLE_EQ(right.mean().item<double>(), report.accuracy);
}

class BeginsWithWeights : public testing::Test {
 protected:
  RunReport trained(const Job& job, int workers) {
    configure_torch(1);
    const PreparedJob ready = prepare(job, workers);
    RunReport report;
    run_ranks(workers, job.comm, [&](World& world) {
      Trainer trainer(world, ready, {});
      const RunReport own = trainer.run();
      if (world.rank() == 0) report = own;
    });
    return report;
  }
  std::string refusal(const Job& job, int workers) {
    try {
      (void)trained(job, workers);
    } catch (const InvalidInput& error) {
      return fmt::format("{}", fmt::join(error.faults, "\n"));
    }
    return "accepted";
  }

  TempFolder folder_;
};

TEST_F(BeginsWithWeights, FromEveryFormAndOnAnyMesh) {
  Job first = prediction_job();
  first.train.steps = 2;
  first.checkpoint.path = (folder_ / "run").string();
  trained(first, 2);
  const Checkpoint checkpoint(folder_ / "run" / "step-00000002");
  export_safetensors(checkpoint, folder_ / "w.safetensors");
  export_npy(checkpoint, folder_ / "npy");

  Job second = prediction_job();
  second.seed = 77;  // other initial values, and another order of samples
  second.train.steps = 1;
  const RunReport other = trained(second, 1);
  second.model.weights = (folder_ / "run" / "step-00000002").string();
  const RunReport expected = trained(second, 1);
  EXPECT_NE(expected.weights_sha256, other.weights_sha256);
  for (const char* form : {"w.safetensors", "npy"}) {
    second.model.weights = (folder_ / form).string();
    EXPECT_EQ(trained(second, 1).weights_sha256, expected.weights_sha256) << form;
  }
  second.parallel.mesh = {{"pipe", 3}};
  EXPECT_NEAR(trained(second, 3).loss[0] / expected.loss[0], 1, 1e-6);

  // What does not fit is named, on ranks that do not hold it, too.
  Job wider = second;
  wider.model.layers[2]["linear"] = 10;
  wider.model.layers[0]["conv"] = 5;
  EXPECT_THAT(refusal(wider, 3), AllOf(HasSubstr("the model's is [5, 1, 3, 3]"),
                                       HasSubstr("the model's is [10, 180]")));
  std::filesystem::remove(folder_ / "npy" / "0.conv.bias.npy");
  second.model.weights = (folder_ / "npy").string();
  EXPECT_THAT(refusal(second, 3), HasSubstr("it lacks '0.conv.bias'"));
}

}  // namespace
}  // namespace shoal

// Models of all kinds train under every plan as one worker does: batch norm, modules of a user's,
// pictures with channels last.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>

#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

TEST(TrainedModels, BatchNormsStatisticsStayEqualOnAllRanks) {
  const char* text = R"(
[model]
layers = [{conv = 4, kernel = 3}, "batch_norm", "relu", "flatten", {linear = 10}]
[data]
name = "random"
shape = [1, 8, 8]
size = 100
[train]
steps = 4
batch = 20
)";
  const PreparedJob job = prepared({}, 3, text);
  std::mutex mutex;
  std::map<std::string, std::vector<at::Tensor>> by_name;
  run_ranks(3, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {});
    trainer.run();
    const std::scoped_lock lock(mutex);
    for (const auto& held : trainer.model().held()) {
      if (held.role == "buffer") by_name[held.name].push_back(held.tensor);
    }
  });
  ASSERT_FALSE(by_name.empty());
  for (const auto& [name, copies] : by_name) {
    ASSERT_EQ(copies.size(), 3u);
    EXPECT_TRUE(at::equal(copies[0], copies[1]) && at::equal(copies[0], copies[2])) << name;
    EXPECT_FALSE(at::equal(copies[0], at::zeros_like(copies[0]))) << name;
  }
}

TEST(TrainedModels, GlobalBatchNormFollowsTheSingleWorkerUnderEveryPlan) {
  const char* text = R"(
seed = 3
[model]
layers = [[{conv = 4, kernel = 3, bias = false}, "batch_norm", "relu"],
          [{residual = [{conv = 4, padding = 1}, "batch_norm"], shortcut = ["batch_norm"]}, "relu"],
          [{dropout2d = 0.2}, "flatten", {linear = 12}, "batch_norm", "tanh"], {linear = 10}]
batch_norm = "global"
[data]
name = "random"
shape = [1, 8, 8]
size = 105
test_size = 30
[train]
steps = 8
batch = 20
momentum = 0.9
lr = 0.05
precision = "fp64"
)";
  const RunReport expected = run_all(prepared({}, 1, text)).front();
  const std::vector<std::pair<int, Settings>> plans{
      {2, {}},
      {3, {"recompute.mode=all"}},
      {3, {"execute.lanes=threads", "data_parallel.bucket_bytes=100"}},
      {4, {"parallel.mesh={pipe=2, data=2}"}},
      {7, {}},  // the last batch has 5 samples: two workers have none
      {2, {"freeze.blocks=1"}},
  };
  const RunReport frozen = run_all(prepared({"freeze.blocks=1"}, 1, text)).front();
  for (const auto& [workers, settings] : plans) {
    const auto reports = run_all(prepared(settings, workers, text));
    const bool freezes = !settings.empty() && settings.front() == "freeze.blocks=1";
    const RunReport& twin = freezes ? frozen : expected;
    SCOPED_TRACE(fmt::format("{} workers {}", workers, ::testing::PrintToString(settings)));
    EXPECT_LT(largest_relative_gap(reports.front().loss, twin.loss), 1e-9);
    EXPECT_NEAR(reports.front().evaluations.back().loss, twin.evaluations.back().loss,
                1e-9 * twin.evaluations.back().loss);
  }
  // Before the last batch, of which one worker would have a single sample.
  const auto local = run_all(prepared({"model.batch_norm=local", "train.steps=4"}, 3, text));
  EXPECT_GT(std::abs(local.front().loss[3] - expected.loss[3]), 1e-6);
}

struct TwoPaths : torch::nn::Module {
  TwoPaths() {
    used = register_module("used", torch::nn::Linear(20, 10));
    shared = register_module("shared", torch::nn::Linear(10, 10));
    idle = register_module("idle", torch::nn::Linear(5, 5));  // no step uses it
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor h = used(x);
    return shared(torch::tanh(shared(h))) + h;
  }
  torch::nn::Linear used{nullptr}, shared{nullptr}, idle{nullptr};
};

TEST(TrainedModels, OverlapsInsideAUsersModuleThatIsOneBlock) {
  configure_torch(1);
  Job job;
  job.data.name = DataName::random;
  job.data.shape = {20};
  job.data.size = 120;
  job.train.batch = 24;
  job.train.precision = Precision::fp64;
  job.data_parallel.bucket_bytes = 100;  // a bucket a parameter
  job.execute.lanes = LanePolicy::threads;
  const Chain chain = chain_of_module("net", [] { return std::make_shared<TwoPaths>(); });
  const auto trained = [&](int workers) {
    const PreparedJob ready = prepare(job, open_data(job.data, 0), chain, workers);
    return run_all(ready).front();
  };
  const RunReport expected = trained(1);
  EXPECT_LT(largest_relative_gap(trained(2).loss, expected.loss), 1e-9);
  EXPECT_LT(largest_relative_gap(trained(5).loss, expected.loss), 1e-9);
}

// An embedding with sparse gradients, and a path that only some batches take.
struct Branching : torch::nn::Module {
  Branching() {
    table = register_module("table",
                            torch::nn::Embedding(torch::nn::EmbeddingOptions(12, 6).sparse(true)));
    often = register_module("often", torch::nn::Linear(6, 10));
    seldom = register_module("seldom", torch::nn::Linear(6, 10));
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor words = (x * 3 + 6).floor().clamp(0, 11).to(at::kLong);
    const at::Tensor h = table(words).mean(1);
    at::Tensor y = often(h);
    // By sample, so that the function does not depend on how a batch is cut; a part without such
    // samples leaves the second path alone.
    const at::Tensor large = x.select(1, 0) > 1.2;
    if (!large.any().item<bool>()) return y;
    return y + large.to(h.scalar_type()).unsqueeze(1) * seldom(h);
  }
  torch::nn::Embedding table{nullptr};
  torch::nn::Linear often{nullptr}, seldom{nullptr};
};

TEST(TrainedModels, AUsersModuleMayHaveSparseGradientsAndBranchOnItsData) {
  configure_torch(1);
  Job job;
  job.data.name = DataName::random;
  job.data.shape = {5};
  job.data.size = 60;
  job.train.batch = 6;
  job.train.steps = 20;
  job.train.precision = Precision::fp64;
  job.train.optimizer.momentum = 0.9;
  job.train.rate.lr = 0.1;
  job.execute.lanes = LanePolicy::threads;
  const Chain chain = chain_of_module("net", [] { return std::make_shared<Branching>(); });
  const auto trained = [&](int workers, int micro_batches) {
    job.pipeline.micro_batches = micro_batches;  // accumulation, without a sum in between
    return run_all(prepare(job, open_data(job.data, 0), chain, workers)).front();
  };
  const RunReport expected = trained(1, 1);
  EXPECT_LT(expected.loss.back(), expected.loss.front());
  EXPECT_LT(largest_relative_gap(trained(2, 1).loss, expected.loss), 1e-9);
  EXPECT_LT(largest_relative_gap(trained(3, 2).loss, expected.loss), 1e-9);
}

TEST(TrainedModels, PicturesWithChannelsLastTrainAlike) {
  const char* text = R"(
seed = 3
[model]
layers = [[{conv = 8, padding = 1}, "relu"], [{conv = 8, kernel = 1}, {pool = 2}],
          [{residual = [{conv = 8, padding = 1}, "batch_norm"]}, "global_avg_pool", {linear = 10}]]
batch_norm = "global"
[data]
name = "random"
shape = [3, 8, 8]
size = 60
test_size = 20
[train]
steps = 6
batch = 12
optimizer = "adamw"
lr = 0.01
clip_norm = 0.5
precision = "fp64"
)";
  const RunReport expected = run_all(prepared({}, 1, text)).front();
  for (const int workers : {1, 3}) {
    const auto reports = run_all(prepared({"model.picture_layout=channels_last"}, workers, text));
    EXPECT_LT(largest_relative_gap(reports.front().loss, expected.loss), 1e-9) << workers;
  }
}

}  // namespace
}  // namespace shoal

// Programs on a device that is not the CPU: the same bits, its tensors, its streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/execute/executor.h"
#include "shoal/model/layer_list.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"
#include "shoal/tensor/test_device.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kColumns = 6;
constexpr std::int64_t kBatch = 9;

struct Trained {
  std::vector<double> losses;
  std::map<std::string, at::Tensor> weights;
  at::Tensor predicted;
  std::int64_t peak = 0;
};

class Device : public ::testing::Test {
 protected:
  Device() {
    const auto layers = nlohmann::json::parse(
        R"([{"linear": 8}, ["batch_norm", "tanh"], {"dropout": 0.3},
            {"linear": 7}, "relu", {"linear": 3}])");
    chain_ = Chain(layer_list(layers, {kColumns}).blocks, LossKind::cross_entropy);
    facts_ = record_facts(chain_,
                          {{.name = "x",
                            .sample_shape = {kColumns},
                            .type = ElementType::float32,
                            .differentiable = false}},
                          {});
  }

  static StepBatch batch(std::int64_t step, std::int64_t begin, std::int64_t end) {
    StepBatch batch;
    for (std::int64_t i = begin; i < end; ++i) batch.sample_ids.push_back(step * kBatch + i);
    const at::Tensor ids = at::tensor(batch.sample_ids, at::kFloat);
    batch.inputs = (ids.unsqueeze(1) * 0.7 + at::arange(kColumns, at::kFloat)).sin();
    batch.targets = at::tensor(batch.sample_ids, at::kLong) % 3;
    return batch;
  }

  // Three steps, then a prediction of the first batch.
  Trained trained(const ComputeDevice& device, Mesh::Axes axes, const OptimizerOptions& optimizer,
                  LanePolicy lanes = LanePolicy::automatic) const {
    Plan plan;
    plan.mesh = Mesh(std::move(axes));
    plan.layout = Layout::standard(plan.mesh);
    plan.batch = kBatch;
    plan.data_parallel.bucket_bytes = 200;
    const Programs all = compile(facts_, plan);
    Trained result;
    std::mutex mutex;
    run_ranks(plan.mesh.size(), {}, [&](World& world) {
      auto account = std::make_shared<MemoryAccount>(device.device().type());
      RankModel own(chain_, all, world.rank(),
                    {.seed = 5, .optimizer = optimizer, .device = device, .ema_decay = 0.9});
      Executor executor(world, all, own, chain_,
                        {.lanes = lanes, .loss = {}, .account = account, .trace = {}});
      const std::int64_t part =
          plan.mesh.size() == 1 || plan.mesh.axes()[0].first == "pipe" ? 0 : world.rank();
      const std::int64_t parts = plan.mesh.axes()[0].first == "pipe" ? 1 : plan.mesh.size();
      const auto input_of = [&](std::int64_t step) {
        return RunInput{.step = step,
                        .rate = 0.05,
                        .batches =
                            [=](Deadline) {
                              return batch(step, kBatch * part / parts,
                                           kBatch * (part + 1) / parts);
                            },
                        .requests = {}};
      };
      std::vector<double> losses;
      for (std::int64_t step = 0; step < 3; ++step) {
        losses.push_back(executor.train(input_of(step)).mean_loss());
      }
      const at::Tensor predicted = executor.predict(input_of(0));
      const std::scoped_lock lock(mutex);
      result.losses = losses;
      result.peak = std::max(result.peak, account->peak());
      if (predicted.defined() && part == 0) result.predicted = predicted;
      for (const HeldTensor& held : own.held()) {
        EXPECT_EQ(held.tensor.device(), device.device()) << held.name;
        result.weights.emplace(held.name, held.tensor.detach().cpu());
      }
    });
    return result;
  }

  Chain chain_;
  std::vector<BlockFacts> facts_;
};

void expect_same(const Trained& found, const Trained& expected) {
  EXPECT_EQ(found.losses, expected.losses);
  ASSERT_EQ(found.weights.size(), expected.weights.size());
  for (const auto& [name, tensor] : expected.weights) {
    EXPECT_TRUE(at::equal(found.weights.at(name), tensor)) << name;
  }
  EXPECT_TRUE(found.predicted.is_cpu());
  EXPECT_TRUE(at::equal(found.predicted, expected.predicted));
  EXPECT_GT(found.peak, 0);
}

TEST_F(Device, TrainsToTheBitsOfTheCpu) {
  for (const Mesh::Axes& axes : {Mesh::Axes{{"data", 1}}, Mesh::Axes{{"data", 2}},
                                 Mesh::Axes{{"data", 3}}, Mesh::Axes{{"pipe", 2}}}) {
    SCOPED_TRACE(axes.front().first + std::to_string(axes.front().second));
    const OptimizerOptions sgd{.momentum = 0.9};
    expect_same(trained(test_device::device(), axes, sgd), trained({}, axes, sgd));
  }
}

TEST_F(Device, UpdatesByEveryOptimizer) {
  for (const OptimizerKind kind :
       {OptimizerKind::adam, OptimizerKind::adamw, OptimizerKind::adagrad, OptimizerKind::rmsprop,
        OptimizerKind::lamb, OptimizerKind::lars}) {
    OptimizerOptions options{.kind = kind, .clip_norm = 0.5};
    const Mesh::Axes axes{{"data", 2}};
    SCOPED_TRACE(static_cast<int>(kind));
    expect_same(trained(test_device::device(), axes, options), trained({}, axes, options));
  }
}

TEST_F(Device, CollectivesRunOnStreamsOfTheirOwn) {
  const int streams = test_device::streams_made, recorded = test_device::moments_recorded,
            waited = test_device::moments_waited_for;
  (void)trained(test_device::device(), {{"data", 2}}, {});
  EXPECT_GT(test_device::streams_made, streams);
  EXPECT_GT(test_device::moments_recorded, recorded);
  EXPECT_GT(test_device::moments_waited_for, waited);
  // On the compute thread they need none.
  const int made = test_device::streams_made;
  const Trained in_line = trained(test_device::device(), {{"data", 2}}, {}, LanePolicy::in_line);
  EXPECT_EQ(test_device::streams_made, made);
  expect_same(in_line, trained({}, {{"data", 2}}, {}));
}

// Backwards of all ranks of a process would run on one thread of autograd's, and wait for each
// other.
TEST_F(Device, SumsOverABatchOfThreadsAreRefused) {
  const auto layers = nlohmann::json::parse(
      R"([[{"linear": 8}, {"batch_norm": true, "global": true}], {"linear": 3}])");
  chain_ = Chain(layer_list(layers, {kColumns}).blocks, LossKind::cross_entropy);
  facts_ = record_facts(chain_,
                        {{.name = "x",
                          .sample_shape = {kColumns},
                          .type = ElementType::float32,
                          .differentiable = false}},
                        {});
  expect_same(trained(test_device::device(), {{"data", 1}}, {}), trained({}, {{"data", 1}}, {}));
  try {
    (void)trained(test_device::device(), {{"data", 2}}, {});
    ADD_FAILURE() << "two threads were taken";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("batch_norm"), HasSubstr("--mode processes")));
  }
}

TEST_F(Device, CudaIsRefusedWhereThereIsNone) {
  if (torch::cuda::is_available()) GTEST_SKIP() << "this machine has a GPU";
  try {
    (void)ComputeDevice::named("cuda", 0);
    ADD_FAILURE() << "cuda was taken";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("[execute] device"), HasSubstr("device = \"cpu\"")));
  }
}

// What no stand-in shows: kernels that are still running when their call returns.
TEST_F(Device, AGpuTrainsLikeTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "this machine has no GPU that LibTorch sees";
  for (const Mesh::Axes& axes :
       {Mesh::Axes{{"data", 1}}, Mesh::Axes{{"data", 3}}, Mesh::Axes{{"pipe", 2}}}) {
    const Trained cpu = trained({}, axes, {.momentum = 0.9});
    const Trained gpu = trained(ComputeDevice::named("cuda", 0), axes, {.momentum = 0.9});
    for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
      EXPECT_NEAR(gpu.losses[i], cpu.losses[i], 1e-5);
    }
    for (const auto& [name, tensor] : cpu.weights) {
      EXPECT_TRUE(at::allclose(gpu.weights.at(name), tensor, 1e-4, 1e-5)) << name;
    }
  }
}

}  // namespace
}  // namespace shoal

// Ranks that run programs on real tensors: their lanes, their record, and how they fail.
#include "shoal/execute/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "shoal/core/error.h"
#include "shoal/execute/lane_threads.h"
#include "shoal/execute/op_progress.h"
#include "shoal/model/layer_list.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kFeatures = 6;

// y = x * weight; on demand it misbehaves.
class ScaleBlock final : public Block {
 public:
  explicit ScaleBlock(std::shared_ptr<std::atomic<bool>> writes_input)
      : writes_input_(std::move(writes_input)) {
    weight_ = register_parameter("weight", at::ones({kFeatures}));
  }
  Activations forward(const Activations& input, const Context&) override {
    const at::Tensor& x = input.only();
    if (*writes_input_) x.add_(1);
    return Activations(x * weight_);
  }

 private:
  at::Tensor weight_;
  std::shared_ptr<std::atomic<bool>> writes_input_;
};

// Two blocks that scale, then linear layers; everything in float64.
class ExecutorTest : public ::testing::Test {
 protected:
  ExecutorTest() {
    auto blocks =
        layer_list(nlohmann::json::parse(R"([{"linear": 5}, "tanh", {"linear": 3}])"), {kFeatures})
            .blocks;
    for (int i = 1; i >= 0; --i) {
      const auto writes = writes_input_[static_cast<std::size_t>(i)];
      blocks.insert(blocks.begin(), BlockFactory{.name = "scale" + std::to_string(i),
                                                 .kind = "scale" + std::to_string(i),
                                                 .build = [writes] {
                                                   return std::make_shared<ScaleBlock>(writes);
                                                 }});
    }
    chain_ = Chain(std::move(blocks), LossKind::cross_entropy);
    facts_ = record_facts(chain_,
                          {{.name = "x",
                            .sample_shape = {kFeatures},
                            .type = ElementType::float64,
                            .differentiable = false}},
                          {.type = at::kDouble});
  }

  Programs programs(Mesh::Axes axes, std::int64_t bucket_bytes = 1 << 20) const {
    Plan plan;
    plan.mesh = Mesh(std::move(axes));
    plan.layout = Layout::standard(plan.mesh);
    plan.batch = 8;
    plan.data_parallel.bucket_bytes = bucket_bytes;
    return compile(facts_, plan);
  }

  RankModel model(const Programs& programs, int rank) const {
    return RankModel(chain_, programs, rank, {.seed = 5, .type = at::kDouble, .optimizer = {}});
  }

  // Samples begin .. end-1 of an endless set.
  static StepBatch batch(std::int64_t begin, std::int64_t end) {
    StepBatch batch;
    const std::int64_t count = end - begin;
    batch.inputs = (at::arange(begin * kFeatures, end * kFeatures, at::kDouble) * 0.7)
                       .sin()
                       .reshape({count, kFeatures});
    batch.targets = at::arange(begin, end, at::kLong) % 3;
    for (std::int64_t i = begin; i < end; ++i) batch.sample_ids.push_back(i);
    return batch;
  }

  static RunInput input(std::int64_t step, std::int64_t begin, std::int64_t end) {
    return {.step = step,
            .rate = 0.5,
            .batches = [=](Deadline) { return batch(begin, end); },
            .requests = {}};
  }

  // Weights after a step in which rank i trains on parts[i] .. parts[i+1]-1.
  std::map<std::string, at::Tensor> stepped(const std::vector<std::int64_t>& parts,
                                            ExecutorOptions options = {},
                                            std::int64_t bucket_bytes = 1 << 20) const {
    const int workers = static_cast<int>(parts.size()) - 1;
    const Programs all = programs({{"data", workers}}, bucket_bytes);
    std::map<std::string, at::Tensor> weights;
    std::mutex mutex;
    run_ranks(workers, {}, [&](World& world) {
      const auto rank = static_cast<std::size_t>(world.rank());
      RankModel own = model(all, world.rank());
      Executor executor(world, all, own, chain_, options);
      const Agreement agreed = executor.train(input(0, parts[rank], parts[rank + 1]));
      EXPECT_EQ(agreed.weight, parts.back() - parts.front());
      EXPECT_TRUE(agreed.finite);
      const std::scoped_lock lock(mutex);
      for (const HeldTensor& held : own.held()) {
        const auto [found, is_new] = weights.emplace(held.name, held.tensor.detach());
        EXPECT_TRUE(is_new || at::equal(found->second, held.tensor)) << held.name;
      }
    });
    return weights;
  }

  std::array<std::shared_ptr<std::atomic<bool>>, 2> writes_input_{
      std::make_shared<std::atomic<bool>>(false), std::make_shared<std::atomic<bool>>(false)};
  Chain chain_;
  std::vector<BlockFacts> facts_;
};

TEST_F(ExecutorTest, AStepIsThatOfPlainAutograd) {
  const Programs one = programs({});
  RankModel own = model(one, 0);
  std::map<std::string, at::Tensor> w;
  for (const HeldTensor& held : own.held()) {
    w[held.name] = held.tensor.detach().clone().requires_grad_(true);
  }
  const StepBatch data = batch(0, 7);
  at::Tensor x = data.inputs * w.at("scale0.weight") * w.at("scale1.weight");
  std::vector<at::Tensor> linear;
  for (const auto& [name, tensor] : w) {
    if (!name.starts_with("scale")) linear.push_back(tensor);  // bias, weight, bias, weight
  }
  ASSERT_EQ(linear.size(), 4u);
  x = at::tanh(at::linear(x, linear[1], linear[0]));
  at::cross_entropy_loss(at::linear(x, linear[3], linear[2]), data.targets).backward();
  for (const auto& [name, found] : stepped({0, 7})) {
    const at::Tensor expected = w.at(name).detach() - 0.5 * w.at(name).grad();
    EXPECT_TRUE(at::allclose(found, expected, 1e-12, 1e-13)) << name;
  }
}

// The mean is over samples, not over ranks, also for a rank without any.
TEST_F(ExecutorTest, UnevenPartsTrainLikeOneWorker) {
  const auto expected = stepped({0, 8});
  for (const auto& parts :
       std::vector<std::vector<std::int64_t>>{{0, 4, 8}, {0, 1, 8}, {0, 5, 5, 8}}) {
    for (const LanePolicy lanes : {LanePolicy::threads, LanePolicy::in_line}) {
      const auto found = stepped(parts, {.lanes = lanes, .account = {}, .trace = {}}, 100);
      for (const auto& [name, tensor] : expected) {
        EXPECT_TRUE(at::allclose(found.at(name), tensor, 1e-12, 1e-13))
            << name << " of " << ::testing::PrintToString(parts);
      }
    }
  }
}

TEST_F(ExecutorTest, AStepThatIsNotFiniteOnOneRankIsSkippedOnAll) {
  const Programs all = programs({{"data", 2}});
  run_ranks(2, {}, [&](World& world) {
    RankModel own = model(all, world.rank());
    Executor executor(world, all, own, chain_, {});
    std::vector<at::Tensor> before;
    for (const HeldTensor& held : own.held()) before.push_back(held.tensor.detach().clone());
    RunInput bad = input(0, 0, 4);
    if (world.rank() == 1) {
      bad.batches = [](Deadline) {
        StepBatch spoilt = batch(4, 8);
        spoilt.inputs[2][3] = std::nan("");
        return spoilt;
      };
    }
    EXPECT_FALSE(executor.train(bad).finite);
    EXPECT_EQ(own.update_count, 0);
    const auto after = own.held();
    for (std::size_t i = 0; i < after.size(); ++i) {
      EXPECT_TRUE(at::equal(after[i].tensor, before[i])) << after[i].name;
    }
    EXPECT_EQ(executor.first_not_finite(bad), "input");
    EXPECT_TRUE(executor.train(input(1, 0, 4)).finite);
    EXPECT_EQ(own.update_count, 1);
  });
}

TEST_F(ExecutorTest, ARankWithAnotherProgramIsRefused) {
  const Programs usual = programs({{"data", 3}});
  const Programs other = programs({{"data", 3}}, /*bucket_bytes=*/10);
  ASSERT_NE(usual.digest(), other.digest());
  std::atomic<int> refused{0};
  run_ranks(3, {}, [&](World& world) {
    const Programs& own_programs = world.rank() == 1 ? other : usual;
    RankModel own = model(own_programs, world.rank());
    try {
      Executor executor(world, own_programs, own, chain_, {});
      ADD_FAILURE() << "rank " << world.rank() << " went on";
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 1"), HasSubstr("same command")));
      ++refused;
    }
  });
  EXPECT_EQ(refused, 3);
}

TEST_F(ExecutorTest, ABlockThatWritesItsInputIsRefusedByName) {
  const Programs one = programs({});
  for (const std::size_t block : {0u, 1u}) {  // without and with a gradient through its input
    for (const bool trains : {true, false}) {
      run_ranks(1, {}, [&](World& world) {
        RankModel own = model(one, 0);
        Executor executor(world, one, own, chain_, {});
        *writes_input_[block] = true;
        try {
          (void)(trains ? executor.train(input(3, 0, 4)) : executor.evaluate(input(3, 0, 4)));
          ADD_FAILURE() << "block " << block << " wrote its input";
        } catch (const InvalidInput& error) {
          EXPECT_THAT(error.what(), AllOf(HasSubstr("block scale" + std::to_string(block)),
                                          AnyOf(HasSubstr("in place"), HasSubstr("in-place"))));
        }
        *writes_input_[block] = false;
      });
    }
  }
}

// Sums over its batch as often as it is told.
class SummingBlock final : public Block {
 public:
  explicit SummingBlock(std::shared_ptr<std::atomic<int>> sums) : sums_(std::move(sums)) {
    weight_ = register_parameter("weight", at::ones({kFeatures}));
  }
  Activations forward(const Activations& input, const Context& context) override {
    for (int i = 0; i < *sums_ && context.batch_sums != nullptr; ++i) {
      at::Tensor values = at::full({3}, 1.0, at::kDouble);
      context.batch_sums->sum(values);
      total = values[0].item<double>();
    }
    return Activations(input.only() * weight_);
  }
  double total = 0;

 private:
  at::Tensor weight_;
  std::shared_ptr<std::atomic<int>> sums_;
};

TEST(BlockSums, AreHeldToTheRecord) {
  const auto sums = std::make_shared<std::atomic<int>>(1);
  const Chain chain({{.name = "summing",
                      .kind = "summing",
                      .build = [sums] { return std::make_shared<SummingBlock>(sums); }}},
                    LossKind::cross_entropy);
  const auto facts = record_facts(chain,
                                  {{.name = "x",
                                    .sample_shape = {kFeatures},
                                    .type = ElementType::float64,
                                    .differentiable = false}},
                                  {.type = at::kDouble});
  Plan plan;
  plan.mesh = Mesh({{"data", 3}});
  plan.layout = Layout::standard(plan.mesh);
  plan.batch = 8;
  const Programs programs = compile(facts, plan);
  const auto step_with = [&](int sums_of_a_run) {
    std::vector<std::string> failures(3);
    *sums = sums_of_a_run;
    run_ranks(3, {}, [&](World& world) {
      const int rank = world.rank();
      RankModel model(chain, programs, rank, {.seed = 5, .type = at::kDouble, .optimizer = {}});
      Executor executor(world, programs, model, chain, {});
      StepBatch batch;
      batch.inputs = at::ones({rank, kFeatures}, at::kDouble);  // none on rank 0
      batch.targets = at::zeros({rank}, at::kLong);
      for (int i = 0; i < rank; ++i) batch.sample_ids.push_back(i);
      try {
        executor.train(
            {.step = 0, .rate = 0.1, .batches = [&](Deadline) { return batch; }, .requests = {}});
        EXPECT_EQ(dynamic_cast<SummingBlock&>(model.block(0)).total, 3.0);
      } catch (const InvalidInput& error) {
        failures[static_cast<std::size_t>(rank)] = error.what();
      }
    });
    return failures;
  };
  EXPECT_THAT(step_with(1), Each(std::string()));
  EXPECT_THAT(step_with(0),
              Each(HasSubstr("block summing made 0 sums over the batch, and 1 when it was "
                             "recorded")));
  EXPECT_THAT(step_with(2),
              Each(HasSubstr("block summing: its sum 2 over the batch has 3 elements of float64, "
                             "and was not made when it was recorded")));
}

TEST_F(ExecutorTest, ARankThatThrowsInAStepEndsTheOthers) {
  for (const LanePolicy lanes : {LanePolicy::threads, LanePolicy::in_line}) {
    const Programs all = programs({{"data", 3}});
    CommOptions patient;
    patient.collective_seconds = 120;
    const auto start = std::chrono::steady_clock::now();
    std::atomic<int> ended{0};
    run_ranks(3, patient, [&](World& world) {
      RankModel own = model(all, world.rank());
      Executor executor(world, all, own, chain_, {.lanes = lanes, .account = {}, .trace = {}});
      (void)executor.train(input(0, 0, 2));
      RunInput next = input(1, 0, 2);
      if (world.rank() == 1)
        next.batches = [](Deadline) -> StepBatch { throw std::runtime_error("my disk"); };
      try {
        (void)executor.train(next);
        ADD_FAILURE() << "rank " << world.rank() << " went on";
      } catch (const PeerLost& lost) {
        EXPECT_NE(world.rank(), 1);
        EXPECT_THAT(lost.lost, ::testing::Contains(1)) << lost.what();
        ++ended;
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(world.rank(), 1);
        EXPECT_STREQ(error.what(), "my disk");
        ++ended;
      }
    });
    EXPECT_EQ(ended, 3);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  }
}

TEST_F(ExecutorTest, TheTraceIsWhatRan) {
  const Programs all = programs({{"data", 2}}, /*bucket_bytes=*/100);
  std::vector<std::string> by_rank(2);
  run_ranks(2, {}, [&](World& world) {
    const auto trace = std::make_shared<Trace>(world.rank());
    RankModel own = model(all, world.rank());
    Executor executor(world, all, own, chain_,
                      {.lanes = LanePolicy::threads, .account = {}, .trace = trace});
    for (int step = 0; step < 2; ++step) (void)executor.train(input(step, 0, 4));
    by_rank[static_cast<std::size_t>(world.rank())] = spans_to_text(*trace);
  });
  const nlohmann::json trace = nlohmann::json::parse(chrome_trace(by_rank));
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> lanes;
  std::map<int, std::set<std::pair<int, int>>> ran;  // by rank: (step, operation)
  std::set<std::string> names, steps_of_a_worker;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "M") {
      names.insert(event.at("args").at("name").get<std::string>());
      continue;
    }
    ASSERT_EQ(event.at("ph"), "X");
    const auto start = event.at("ts").get<double>(), length = event.at("dur").get<double>();
    EXPECT_GE(start, 0);
    EXPECT_GE(length, 0);
    const int rank = event.at("pid").get<int>();
    lanes[{rank, event.at("tid").get<int>()}].emplace_back(start, start + length);
    const auto& args = event.at("args");
    EXPECT_TRUE(ran[rank].emplace(args.at("step").get<int>(), args.at("op").get<int>()).second);
    steps_of_a_worker.insert(event.at("cat").get<std::string>());
  }
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(ran[rank].size(),
              2 * all.named.at("train")[static_cast<std::size_t>(rank)].ops.size());
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"rank 0", "rank 1", "compute", "data"}));
  EXPECT_THAT(steps_of_a_worker, ElementsAre("load", "synchronize", "train", "update"));
  EXPECT_GE(lanes.size(), 4u);
  for (auto& [lane, spans] : lanes) {  // one thing at a time in a lane
    std::sort(spans.begin(), spans.end());
    for (std::size_t i = 1; i < spans.size(); ++i) {
      EXPECT_LE(spans[i - 1].second, spans[i].first + 1e-3);
    }
  }
}

TEST_F(ExecutorTest, PredictionIsTheChainsOutputInEvaluationMode) {
  const Programs one = programs({});
  run_ranks(1, {}, [&](World& world) {
    RankModel own = model(one, 0);
    Executor executor(world, one, own, chain_, {});
    const at::Tensor found = executor.predict(input(0, 0, 5));
    ASSERT_EQ(found.sizes(), (std::vector<std::int64_t>{5, 3}));
    EXPECT_FALSE(found.requires_grad());
    const Agreement sums = executor.evaluate(input(0, 0, 5));
    EXPECT_EQ(sums.weight, 5);
    const at::Tensor loss = at::cross_entropy_loss(found, batch(0, 5).targets);
    EXPECT_NEAR(sums.mean_loss(), loss.item<double>(), 1e-12);
    const double correct = found.argmax(1).eq(batch(0, 5).targets).sum().item<double>();
    EXPECT_EQ(sums.correct, correct);
  });
}

TEST(OpProgress, WaitsUntilMarked) {
  OpProgress progress(2);
  for (int run = 0; run < 50; ++run) {
    progress.start_run();
    EXPECT_FALSE(progress.is_marked(0));
    int written = 0;
    std::jthread other([&] {
      written = run;
      progress.mark(0);
      EXPECT_TRUE(progress.wait(1));
    });
    EXPECT_TRUE(progress.wait(0));
    EXPECT_EQ(written, run);  // what came before the mark is seen after the wait
    progress.mark(1);
  }
}

TEST(OpProgress, AFailureEndsAllWaitsAndTheFirstIsKept) {
  OpProgress progress(3);
  for (int run = 0; run < 50; ++run) {
    progress.start_run();
    EXPECT_FALSE(progress.failed());
    EXPECT_EQ(progress.failure(), nullptr);
    std::atomic<int> ended{0};
    {
      std::vector<std::jthread> waiting;
      for (std::size_t event = 0; event < 2; ++event) {
        waiting.emplace_back([&, event] {
          EXPECT_FALSE(progress.wait(event));
          ++ended;
        });
      }
      progress.mark(2);
      progress.fail(std::make_exception_ptr(std::runtime_error("first")));
      progress.fail(std::make_exception_ptr(std::runtime_error("second")));
    }
    EXPECT_EQ(ended, 2);
    EXPECT_TRUE(progress.wait(2));  // what was done is done
    try {
      std::rethrow_exception(progress.failure());
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "first");
    }
  }
}

TEST(LaneThreads, RunEachLaneOnceARun) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<int> runs(3);  // by lane; finish() makes them visible
    LaneThreads lanes({"a", "b", "c"}, [&](std::size_t lane) { ++runs[lane]; });
    for (int run = 1; run <= 10; ++run) {
      lanes.start();
      lanes.finish();
      EXPECT_THAT(runs, ElementsAre(run, run, run));
    }
  }
}

TEST(LaneThreads, RunBesideEachOtherAndEndWithoutARun) {
  {
    LaneThreads unused({"a", "b"}, [](std::size_t) { FAIL() << "nobody started it"; });
  }
  OpProgress progress(2);
  LaneThreads lanes({"a", "b"}, [&](std::size_t lane) {
    progress.mark(lane);
    EXPECT_TRUE(progress.wait(1 - lane));  // would never end if one ran after the other
  });
  for (int run = 0; run < 50; ++run) {
    progress.start_run();
    lanes.start();
    lanes.finish();
  }
}

}  // namespace
}  // namespace shoal

// Gradients are made where all ranks of the group that sums them reach them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "shoal/execute/executor.h"
#include "shoal/model/layer_list.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"

namespace shoal {
namespace {

// What one rank's group gave, and how many elements it summed inside and outside of that.
struct Seen {
  std::vector<std::pair<const std::byte*, std::size_t>> given;
  std::size_t inside = 0;
  std::size_t outside = 0;
};

class WatchedGroup final : public Group {
 public:
  WatchedGroup(std::unique_ptr<Group> group, Seen& seen) : group_(std::move(group)), seen_(seen) {}
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  const std::string& name() const override { return group_->name(); }
  std::string_view engine() const override { return group_->engine(); }
  void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) override {
    for (const Buffer& part : parts) {
      bool inside = false;
      for (const auto& [data, bytes] : seen_.given) {
        inside |= data <= part.data && part.data + part.bytes() <= data + bytes;
      }
      (inside ? seen_.inside : seen_.outside) += part.elements;
    }
    group_->all_reduce(parts, op, deadline);
  }
  void broadcast(Buffer data, int root, Deadline deadline) override {
    group_->broadcast(data, root, deadline);
  }
  void all_gather(ConstBuffer in, Buffer out, Deadline deadline) override {
    group_->all_gather(in, out, deadline);
  }
  void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) override {
    group_->reduce_scatter(in, out, op, deadline);
  }
  void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) override {
    group_->reduce(in, out, root, op, deadline);
  }
  void barrier(Deadline deadline) override { group_->barrier(deadline); }
  void send(ConstBuffer data, int to, Deadline deadline) override {
    group_->send(data, to, deadline);
  }
  void receive(Buffer data, int from, Deadline deadline) override {
    group_->receive(data, from, deadline);
  }
  bool has_message(int from) override { return group_->has_message(from); }
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    auto memory = group_->allocate(bytes);
    seen_.given.emplace_back(memory.get(), bytes);
    return memory;
  }
  bool shares_memory() const override { return group_->shares_memory(); }
  void abort() override { group_->abort(); }
  std::uint64_t bytes_sent() const override { return group_->bytes_sent(); }

 protected:
  void transfer(const Call& call, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                Deadline deadline) override {
    transfer_of(*group_, call, in, out, deadline);
  }

 private:
  std::unique_ptr<Group> group_;
  Seen& seen_;
};

// Watches the group of that name.
class WatchedWorld final : public World {
 public:
  WatchedWorld(World& world, std::string watched, Seen& seen)
      : world_(world), watched_(std::move(watched)), seen_(seen) {}
  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  int local_rank() const override { return world_.local_rank(); }
  int local_size() const override { return world_.local_size(); }
  std::vector<int> hosts() const override { return world_.hosts(); }
  Store& store() override { return world_.store(); }
  const CommOptions& options() const override { return world_.options(); }
  std::string order_of_sums(const std::vector<int>& ranks) const override {
    return world_.order_of_sums(ranks);
  }
  std::unique_ptr<Group> form_group(const std::string& name, const std::vector<int>& ranks,
                                    Deadline deadline) override {
    auto group = world_.form_group(name, ranks, deadline);
    if (name != watched_) return group;
    return std::make_unique<WatchedGroup>(std::move(group), seen_);
  }

 private:
  World& world_;
  std::string watched_;
  Seen& seen_;
};

class SharedGradients : public testing::Test {
 protected:
  static constexpr std::int64_t kFeatures = 40;

  // Of each rank, after steps in which rank i trains on samples[i].
  std::vector<Seen> after_steps(const CommOptions& options,
                                const std::vector<std::int64_t>& samples, int micro_batches = 1,
                                int steps = 3) {
    const int workers = static_cast<int>(samples.size());
    Plan plan;
    plan.mesh = Mesh(Mesh::Axes{{"data", workers}});
    plan.layout = Layout::standard(plan.mesh);
    plan.batch = 12;
    plan.pipeline.micro_batches = micro_batches;
    const Programs all = compile(facts_, plan);
    std::vector<Seen> seen(samples.size());
    run_ranks(workers, options, [&](World& world) {
      const auto rank = static_cast<std::size_t>(world.rank());
      WatchedWorld watched(world, summing_group(all.named.at("train").at(world.rank())),
                           seen[rank]);
      RankModel model(chain_, all, world.rank(), {.seed = 5, .type = at::kFloat, .optimizer = {}});
      Executor executor(watched, all, model, chain_, {});
      for (int step = 0; step < steps; ++step) {
        executor.train({.step = step,
                        .rate = 0.1,
                        .batches = [&](Deadline) { return batch(samples[rank]); },
                        .requests = {}});
      }
    });
    return seen;
  }

  static std::string summing_group(const Program& program) {
    for (const Op& op : program.ops) {
      if (op.kind == OpKind::all_reduce) return program.groups.at(op.group).name;
    }
    return {};
  }

  static StepBatch batch(std::int64_t samples) {
    StepBatch batch;
    batch.inputs = at::ones({samples, kFeatures});
    batch.targets = at::zeros({samples}, at::kLong);
    for (std::int64_t i = 0; i < samples; ++i) batch.sample_ids.push_back(i);
    return batch;
  }

  Chain chain_{
      layer_list(nlohmann::json::parse(R"([{"linear": 30}, "tanh", {"linear": 7}])"), {kFeatures})
          .blocks,
      LossKind::cross_entropy};
  std::vector<BlockFacts> facts_ = record_facts(chain_,
                                                {{.name = "x",
                                                  .sample_shape = {kFeatures},
                                                  .type = ElementType::float32,
                                                  .differentiable = false}},
                                                {.type = at::kFloat});
  // Weights and biases; the sums of Agree go through the same group.
  static constexpr std::size_t kParameters = 40 * 30 + 30 + 30 * 7 + 7;
};

TEST_F(SharedGradients, LieInTheMemoryOfTheirGroup) {
  for (const int micro_batches : {1, 3}) {
    for (const Seen& seen : after_steps({}, {6, 6}, micro_batches)) {
      EXPECT_EQ(seen.inside, 3 * kParameters) << micro_batches << " micro-batches";
      EXPECT_LT(seen.outside, 50U);
    }
  }
}

TEST_F(SharedGradients, AlsoOfARankWithoutSamples) {
  for (const Seen& seen : after_steps({}, {12, 0})) EXPECT_EQ(seen.inside, 3 * kParameters);
}

// The memory of one step serves the next.
TEST_F(SharedGradients, TakeNoMoreMemoryStepByStep) {
  const std::size_t few = after_steps({}, {6, 6}, 1, 2)[0].given.size();
  const std::size_t many = after_steps({}, {6, 6}, 1, 20)[0].given.size();
  EXPECT_GE(few, 4U);
  EXPECT_EQ(few, many);
}

TEST_F(SharedGradients, AreOrdinaryWhereNoMemoryIsShared) {
  CommOptions options;
  options.engine = Engine::tcp;
  for (const Seen& seen : after_steps(options, {6, 6})) {
    EXPECT_EQ(seen.inside, 0U);
    EXPECT_GE(seen.outside, 3 * kParameters);
    EXPECT_TRUE(seen.given.empty());
  }
}

}  // namespace
}  // namespace shoal

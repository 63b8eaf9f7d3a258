// A training loop of your own, without a Trainer: batches from wherever you like, one step after
// the other, and what to do in between is up to you.
#include <fmt/format.h>
#include <shoal/shoal.h>

constexpr std::int64_t kBatch = 64;

// This rank's part of the batch of a step: points of a plane, and what lies above them.
shoal::StepBatch part_of_batch(std::int64_t step, const shoal::Range& part) {
  shoal::StepBatch batch;
  for (std::int64_t i = part.begin; i < part.end; ++i) {
    batch.sample_ids.push_back(step * kBatch + i);
  }
  const at::Tensor ids = at::tensor(batch.sample_ids, at::kFloat);
  batch.inputs = at::stack({(ids * 0.7).sin(), (ids * 0.3).cos()}, 1);
  batch.targets = batch.inputs.slice(1, 0, 1) * 2 - batch.inputs.slice(1, 1, 2) * 3 + 1;
  return batch;
}

int main() {
  shoal::configure_torch(1);
  const shoal::Chain chain = shoal::chain_of_module(
      "plane", [] { return torch::nn::Linear(2, 1); }, shoal::LossKind::mean_squared);
  shoal::Plan plan;
  plan.mesh = shoal::Mesh({{"data", 2}});
  plan.layout = shoal::Layout::standard(plan.mesh);
  plan.batch = kBatch;
  const auto facts = shoal::record_facts(chain, {{.name = "x", .sample_shape = {2}}}, {});
  const shoal::Programs programs = shoal::compile(facts, plan);

  double loss = 0;
  shoal::run_ranks(2, {}, [&](shoal::World& world) {
    shoal::RankModel model(chain, programs, world.rank(), {.optimizer = {.momentum = 0.9}});
    shoal::Executor executor(world, programs, model, chain, {});
    const shoal::Range part = shoal::part_of(kBatch, world.size(), world.rank());
    for (std::int64_t step = 0; step < 200; ++step) {
      const shoal::Agreement agreed =
          executor.train({.step = step,
                          .rate = 0.05 / (1 + 0.01 * static_cast<double>(step)),
                          .batches = [&](shoal::Deadline) { return part_of_batch(step, part); }});
      if (world.rank() == 0 && step % 50 == 0) {
        fmt::print("step {}: loss {:.6f}\n", step, agreed.mean_loss());
      }
      if (world.rank() == 0) loss = agreed.mean_loss();
    }
  });
  fmt::print("in the end {:.2e}\n", loss);
  return loss < 1e-3 ? 0 : 1;
}

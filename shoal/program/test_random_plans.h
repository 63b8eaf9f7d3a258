// Random chains and plans that fit each other, by seed.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "shoal/program/facts.h"
#include "shoal/program/plan.h"
#include "shoal/program/program.h"

namespace shoal::testing_random {

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : engine_(seed) {}
  // 0 .. n - 1; the engine's numbers are the same everywhere, distributions' are not.
  int below(int n) { return static_cast<int>(engine_() % static_cast<std::uint32_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool one_in(int n) { return below(n) == 0; }
  template <typename T>
  const T& of(const std::vector<T>& list) {
    return list[below(static_cast<int>(list.size()))];
  }

 private:
  std::mt19937 engine_;
};

inline BlockFacts random_block(Dice& dice, int number, const ActivationFacts& input) {
  BlockFacts block;
  block.name = fmt::format("{}.block", number);
  block.kind = "block";
  const auto tensor = [&](const std::string& name) {
    return ParameterFacts{.name = fmt::format("{}.{}", block.name, name),
                          .shape = {dice.between(1, 9)},
                          .dims = {""}};
  };
  for (int i = dice.below(4); i > 0; --i) {
    block.parameters.push_back(tensor(fmt::format("parameter{}", i)));
    block.parameters.back().trainable = !dice.one_in(5);
    if (dice.one_in(6)) block.parameters.back().type = ElementType::float64;
  }
  for (int i = static_cast<int>(block.parameters.size()) - 1; i >= 0; --i) {
    block.gradient_order.push_back(i);
  }
  for (int i = dice.one_in(3) ? dice.between(1, 2) : 0; i > 0; --i) {
    block.buffers.push_back(tensor(fmt::format("buffer{}", i)));
    if (dice.one_in(3)) block.buffers.back().type = ElementType::int64;
  }
  block.inputs = {input};
  block.outputs = {{.name = "x", .sample_shape = {dice.between(1, 9)}}};
  return block;
}

struct Job {
  std::vector<BlockFacts> blocks;
  Plan plan;
  ProgramKind kind = ProgramKind::train;
};

// 2 to 8 ranks; every combination of pipeline, data parallelism over one or two axes, freezing,
// recomputation and bucket size.
inline Job random_job(std::uint32_t seed) {
  Dice dice(seed);
  Job job;
  const std::vector<Mesh::Axes> meshes = {
      {{"data", 2}},
      {{"data", 3}},
      {{"pipe", 2}},
      {{"pipe", 3}},
      {{"pipe", 4}},
      {{"pipe", 2}, {"data", 2}},
      {{"data", 2}, {"pipe", 2}},
      {{"pipe", 3}, {"data", 2}},
      {{"data", 2}, {"pipe", 2}, {"more", 2}},
      {{"pipe", 2}, {"data", 4}},
      {{"data", 7}},
      {{"data", 2}, {"more", 3}},
  };
  job.plan.mesh = Mesh(dice.of(meshes));
  job.plan.layout = Layout::standard(job.plan.mesh);
  if (job.plan.mesh.has("more")) job.plan.layout.axes_of_dim["batch"] = {"data", "more"};
  job.plan.batch = dice.between(1, 40);
  job.plan.data_parallel.bucket_bytes = dice.of<std::int64_t>({1, 40, 100, 1 << 20});
  job.plan.pipeline.micro_batches = dice.between(1, 4);
  job.plan.pipeline.schedule =
      dice.of<PipelineSchedule>({PipelineSchedule::vanilla, PipelineSchedule::gpipe});
  job.plan.recompute.mode = dice.of<RecomputeMode>(
      {RecomputeMode::none, RecomputeMode::all, RecomputeMode::sqrt, RecomputeMode::every});

  const bool sums = dice.one_in(3);  // over the batch, which is then not cut
  if (sums) job.plan.pipeline.micro_batches = 1;
  const int blocks = job.plan.stages() + dice.below(5);
  ActivationFacts x{.name = "x", .sample_shape = {dice.between(1, 9)}};
  for (int i = 0; i < blocks; ++i) {
    job.blocks.push_back(random_block(dice, i, x));
    x = job.blocks.back().outputs.front();
    if (sums && dice.one_in(2)) {
      for (int k = dice.between(1, 2); k > 0; --k) {
        job.blocks.back().forward_sums.push_back({.elements = dice.between(1, 9)});
      }
      job.blocks.back().backward_sums.push_back({.elements = dice.between(1, 9)});
    }
  }
  // The last block always has something to train.
  job.blocks.back().parameters.push_back(
      {.name = "head", .shape = {dice.between(1, 9)}, .dims = {""}});
  if (dice.one_in(3)) job.plan.freeze.blocks = dice.below(blocks);
  const int kind = dice.below(10);
  if (kind == 0) job.kind = ProgramKind::evaluate;
  if (kind == 1) job.kind = ProgramKind::predict;
  return job;
}

}  // namespace shoal::testing_random

// Chains, plans and hand-made operations for the tests of this module.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "shoal/program/compile.h"
#include "shoal/program/program.h"

namespace shoal::testing_programs {

// What a block of the chain below has.
struct BlockSizes {
  std::int64_t features = 256;  // in and out; the parameter is features x features
  WorkFacts forward = {};
  WorkFacts backward = {};
  LinearFact saved = {};
  LinearFact workspace = {};
};

inline BlockFacts block_facts(int number, const BlockSizes& sizes = {}) {
  const std::string name = fmt::format("{}.linear", number);
  const ActivationFacts x{.name = "x", .sample_shape = {sizes.features}};
  BlockFacts block;
  block.name = name;
  block.kind = "linear";
  block.parameters = {
      {.name = name + ".weight", .shape = {sizes.features, sizes.features}, .dims = {"out", "in"}},
      {.name = name + ".bias", .shape = {sizes.features}, .dims = {"out"}}};
  block.inputs = {x};
  block.outputs = {x};
  block.saved_bytes = sizes.saved;
  block.workspace_bytes = sizes.workspace;
  block.gradient_order = {1, 0};
  block.forward = sizes.forward;
  block.backward = sizes.backward;
  return block;
}

inline std::vector<BlockFacts> chain_facts(int blocks, const BlockSizes& sizes = {}) {
  std::vector<BlockFacts> chain;
  for (int i = 0; i < blocks; ++i) chain.push_back(block_facts(i, sizes));
  return chain;
}

inline Plan plan_over(Mesh::Axes axes, std::int64_t batch, int micro_batches = 1,
                      PipelineSchedule schedule = PipelineSchedule::gpipe) {
  Plan plan;
  plan.mesh = Mesh(std::move(axes));
  plan.layout = Layout::standard(plan.mesh);
  plan.batch = batch;
  plan.pipeline.micro_batches = micro_batches;
  plan.pipeline.schedule = schedule;
  return plan;
}

inline RankPrograms train_programs(const std::vector<BlockFacts>& chain, const Plan& plan) {
  return compile(chain, plan).named.at("train");
}

inline Value activation(int block, int micro_batch = 0) {
  return {.kind = ValueKind::activation, .block = block, .micro_batch = micro_batch};
}

inline Value gradient(int block, int index = 0) {
  return {.kind = ValueKind::gradient, .block = block, .index = index};
}

inline Op forward(int block, int micro_batch = 0) {
  Op op{.kind = OpKind::forward, .block = block, .micro_batch = micro_batch};
  if (block > 0) op.reads = {{activation(block - 1, micro_batch)}};
  op.writes = {{activation(block, micro_batch)}};
  return op;
}

inline Op send(const Value& value, int peer, std::int64_t bytes) {
  return {.kind = OpKind::send, .peer = peer, .bytes = bytes, .reads = {{value}}};
}

inline Op receive(const Value& value, int peer, std::int64_t bytes) {
  return {.kind = OpKind::receive, .peer = peer, .bytes = bytes, .writes = {{value}}};
}

inline Op all_reduce(const Value& value, int group, std::int64_t bytes) {
  return {.kind = OpKind::all_reduce, .group = group, .bytes = bytes, .accumulates = {{value}}};
}

inline Program program_of(int rank, std::vector<Op> ops, std::vector<GroupFacts> groups = {}) {
  Program program{.rank = rank, .micro_batch_samples = 1};
  program.groups = std::move(groups);
  program.ops = std::move(ops);
  number_versions(program);
  return program;
}

}  // namespace shoal::testing_programs

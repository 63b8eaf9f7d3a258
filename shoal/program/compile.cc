#include "shoal/program/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shoal/core/error.h"
#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"
#include "shoal/program/verify.h"

namespace shoal {
namespace {

std::string text_of(const std::vector<ActivationFacts>& tensors) {
  std::string text;
  for (const ActivationFacts& tensor : tensors) {
    text += fmt::format("{}{} {}[n", text.empty() ? "" : ", ", tensor.name, name_of(tensor.type));
    for (const std::int64_t size : tensor.sample_shape) text += fmt::format(", {}", size);
    text += "]";
  }
  return text.empty() ? "nothing" : text;
}

bool fits(const std::vector<ActivationFacts>& outputs, const std::vector<ActivationFacts>& inputs) {
  return std::equal(outputs.begin(), outputs.end(), inputs.begin(), inputs.end(),
                    [](const ActivationFacts& output, const ActivationFacts& input) {
                      return output.name == input.name && output.type == input.type &&
                             output.sample_shape == input.sample_shape;
                    });
}

bool passes_gradient(const BlockFacts& block) {
  return std::any_of(block.outputs.begin(), block.outputs.end(),
                     [](const ActivationFacts& output) { return output.differentiable; });
}

void name_problems(const std::vector<BlockFacts>& blocks, std::vector<std::string>& faults) {
  std::set<std::string> block_names, tensor_names;
  const auto add_tensors = [&](const std::vector<ParameterFacts>& tensors) {
    for (const ParameterFacts& tensor : tensors) {
      if (tensor_names.insert(tensor.name).second) continue;
      faults.push_back(fmt::format("two tensors of the model are named '{}'", tensor.name));
    }
  };
  for (const BlockFacts& block : blocks) {
    if (!block_names.insert(block.name).second) {
      faults.push_back(fmt::format("two blocks of the chain are named '{}'", block.name));
    }
    add_tensors(block.parameters);
    add_tensors(block.buffers);
  }
}

bool matches_a_parameter(const std::string& pattern, std::vector<BlockFacts> blocks) {
  for (BlockFacts& block : blocks) {
    for (ParameterFacts& parameter : block.parameters) parameter.trainable = true;
  }
  return frozen(blocks, {.parameters = {pattern}}) != blocks;
}

// What sums over the batch would see a micro-batch only.
std::string micro_batch_problem(const std::vector<BlockFacts>& blocks, const Plan& plan) {
  if (plan.pipeline.micro_batches == 1) return "";
  for (const BlockFacts& block : blocks) {
    if (!block.sums_over_batch()) continue;
    return fmt::format(
        "block {} sums over the whole batch, which pipeline.microbatches = {} cuts: set it to 1, "
        "or model.batch_norm = \"local\"",
        block.name, plan.pipeline.micro_batches);
  }
  return "";
}

// Faults of the plan that only show beside the model.
std::vector<std::string> fit_problems(const std::vector<BlockFacts>& blocks, const Plan& plan) {
  std::vector<std::string> faults;
  const int count = static_cast<int>(blocks.size());
  if (plan.stages() > count) {
    faults.push_back(
        fmt::format("axis 'pipe' has {} stages, but the chain has {} blocks: give at most {}",
                    plan.stages(), count, count));
  }
  if (!plan.pipeline.cuts.empty() && plan.pipeline.cuts.back() >= count) {
    faults.push_back(fmt::format("pipeline.cuts has {}, but the chain's last block is {}",
                                 plan.pipeline.cuts.back(), count - 1));
  }
  if (plan.freeze.blocks > count) {
    faults.push_back(
        fmt::format("freeze.blocks is {}, but the chain has {} blocks", plan.freeze.blocks, count));
  }
  for (const std::string& pattern : plan.freeze.parameters) {
    if (matches_a_parameter(pattern, blocks)) continue;
    faults.push_back(fmt::format(
        "freeze.parameters has \"{}\", which no parameter of the model matches", pattern));
  }
  if (auto fault = micro_batch_problem(blocks, plan); !fault.empty()) {
    faults.push_back(std::move(fault));
  }
  const std::vector<BlockFacts> facts = frozen(blocks, plan.freeze);
  const int lowest = lowest_trainable(facts);
  if (lowest == count && lowest_trainable(blocks) < count) {
    faults.push_back("[freeze] leaves no parameter to train: freeze less");
  }
  for (int block = lowest; block < count; ++block) {
    if (plan.recompute.mode != RecomputeMode::none && blocks[block].draws_random_numbers) {
      faults.push_back(fmt::format(
          "block {} draws from the process-wide generator, so running its forward again gives "
          "other numbers: set recompute.mode = \"none\"",
          blocks[block].name));
    }
    if (!passes_gradient(blocks[block])) {
      faults.push_back(fmt::format(
          "no gradient flows back through the output of block {}, but parameters of block {} are "
          "trained: freeze them",
          blocks[block].name, blocks[lowest].name));
    }
  }
  return faults;
}

RankPrograms compile_kind(const std::vector<BlockFacts>& blocks, const Plan& plan,
                          ProgramKind kind) {
  RankPrograms programs = single_worker(blocks, plan, kind);
  programs = freeze(std::move(programs), blocks, plan.freeze);
  const std::vector<BlockFacts> facts = frozen(blocks, plan.freeze);
  programs = pipeline(std::move(programs), facts, plan);
  programs = recompute(std::move(programs), facts, plan.recompute);
  programs = data_parallel(std::move(programs), facts, plan);
  programs = batch_sums(std::move(programs), facts, plan);
  programs = free_after_last_use(std::move(programs));
  for (Program& program : programs) number_versions(program);
  return programs;
}

}  // namespace

std::vector<std::string> chain_problems(const std::vector<BlockFacts>& blocks) {
  if (blocks.empty()) return {"the chain has no block"};
  std::vector<std::string> faults;
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const BlockFacts& from = blocks[i - 1];
    const BlockFacts& to = blocks[i];
    if (fits(from.outputs, to.inputs)) continue;
    faults.push_back(fmt::format("block {} gives {}, but block {} takes {}", from.name,
                                 text_of(from.outputs), to.name, text_of(to.inputs)));
  }
  name_problems(blocks, faults);
  return faults;
}

// One line a technique, in the order they act: each pass sees what the earlier ones wrote.
Programs compile(const std::vector<BlockFacts>& blocks, const Plan& plan) {
  std::vector<std::string> faults = plan.problems();
  for (std::string& fault : chain_problems(blocks)) faults.push_back(std::move(fault));
  require_none(faults);
  require_none(fit_problems(blocks, plan));

  Programs programs{.blocks = frozen(blocks, plan.freeze), .plan = plan, .named = {}};
  const std::vector<int> starts = stage_starts(blocks, plan);
  programs.plan.pipeline.cuts.assign(starts.begin() + 1, starts.end());
  for (const ProgramKind kind : {ProgramKind::train, ProgramKind::evaluate, ProgramKind::predict}) {
    programs.named.emplace(name_of(kind), compile_kind(blocks, programs.plan, kind));
  }
  require_none(verify(programs));
  return programs;
}

}  // namespace shoal

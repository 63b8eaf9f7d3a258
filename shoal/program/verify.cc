#include "shoal/program/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "shoal/program/compile.h"
#include "shoal/program/verify_parts.h"

namespace shoal {
namespace {

constexpr std::size_t kMostFaults = 100;

ProgramKind kind_of(const RankPrograms& programs) {
  const auto any_has = [&](OpKind kind) {
    return std::any_of(programs.begin(), programs.end(), [&](const Program& program) {
      return std::any_of(program.ops.begin(), program.ops.end(),
                         [&](const Op& op) { return op.kind == kind; });
    });
  };
  const bool trains = std::any_of(programs.begin(), programs.end(),
                                  [](const Program& program) { return program.trains; });
  if (trains || any_has(OpKind::update)) return ProgramKind::train;
  return any_has(OpKind::loss) ? ProgramKind::evaluate : ProgramKind::predict;
}

template <typename Check>
std::vector<std::string> of_each_rank(const RankPrograms& programs, const Check& check) {
  std::vector<std::string> faults;
  for (const Program& program : programs) {
    for (std::string& fault : check(program)) faults.push_back(std::move(fault));
  }
  return faults;
}

std::vector<std::string> shortened(std::vector<std::string> faults) {
  if (faults.size() <= kMostFaults) return faults;
  const std::size_t more = faults.size() - kMostFaults;
  faults.resize(kMostFaults);
  faults.push_back(fmt::format("and {} more mismatches", more));
  return faults;
}

}  // namespace

VerifyContext::VerifyContext(const std::vector<BlockFacts>& all_blocks, const Plan& the_plan,
                             ProgramKind the_kind)
    : blocks(all_blocks),
      plan(the_plan),
      kind(the_kind),
      make(all_blocks, the_kind,
           the_kind == ProgramKind::train ? the_plan.largest_micro_batch()
                                          : the_plan.largest_part()),
      micro_batches(the_kind == ProgramKind::train ? the_plan.pipeline.micro_batches : 1),
      micro_batch_samples(the_kind == ProgramKind::train ? the_plan.largest_micro_batch()
                                                         : the_plan.largest_part()),
      starts(stage_starts(all_blocks, the_plan)) {
  starts.push_back(static_cast<int>(blocks.size()));
  const auto axes_of = [&](const std::vector<ParameterFacts>& tensors) {
    std::vector<std::vector<std::string>> axes;
    for (const ParameterFacts& tensor : tensors) {
      axes.push_back(plan.layout.gradient_axes(tensor.dims, plan.mesh));
    }
    return axes;
  };
  for (const BlockFacts& block : blocks) {
    gradient_axes.push_back(axes_of(block.parameters));
    buffer_axes.push_back(axes_of(block.buffers));
  }
}

std::string place_of(const Program& program, int op) {
  return fmt::format("rank {}, operation {} ({})", program.rank, op,
                     text_of(program.ops[op], program.micro_batches));
}

std::vector<std::string> verify(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                                const Plan& plan, ProgramKind kind) {
  if (std::ssize(programs) != plan.mesh.size()) {
    return {fmt::format("there are programs for {} ranks, but the mesh has {}", programs.size(),
                        plan.mesh.size())};
  }
  for (int rank = 0; rank < std::ssize(programs); ++rank) {
    if (programs[rank].rank == rank) continue;
    return {fmt::format("the program in place {} is one for rank {}", rank, programs[rank].rank)};
  }
  const VerifyContext context(blocks, plan, kind);
  std::vector<std::string> faults =
      of_each_rank(programs, [&](const Program& program) { return op_faults(program, context); });
  if (!faults.empty()) return shortened(std::move(faults));

  faults = of_each_rank(programs,
                        [&](const Program& program) { return value_faults(program, context); });
  const std::vector<std::string> unmatched = matching_faults(programs);
  faults.insert(faults.end(), unmatched.begin(), unmatched.end());
  if (unmatched.empty()) {
    for (std::string& fault : progress_faults(programs)) faults.push_back(std::move(fault));
  }
  return shortened(std::move(faults));
}

std::vector<std::string> verify(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                                const Plan& plan) {
  return verify(programs, blocks, plan, kind_of(programs));
}

std::vector<std::string> verify(const Programs& programs) {
  std::vector<std::string> faults;
  for (const ProgramKind kind : {ProgramKind::train, ProgramKind::evaluate, ProgramKind::predict}) {
    const auto found = programs.named.find(std::string(name_of(kind)));
    if (found == programs.named.end()) {
      faults.push_back(fmt::format("there is no program \"{}\"", name_of(kind)));
      continue;
    }
    for (const std::string& fault : verify(found->second, programs.blocks, programs.plan, kind)) {
      faults.push_back(fmt::format("{}: {}", name_of(kind), fault));
    }
  }
  return faults;
}

}  // namespace shoal

// The program of one worker that holds the whole chain.
//   train      Load F0 F1 F2 Loss B2 B1 B0 Agree Update
//   evaluate   Load F0 F1 F2 Loss
//   predict    Load F0 F1 F2
#include <numeric>

#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

GroupFacts world_of(const Mesh& mesh) {
  GroupFacts world{.name = "world", .ranks = std::vector<int>(mesh.size())};
  std::iota(world.ranks.begin(), world.ranks.end(), 0);
  return world;
}

}  // namespace

RankPrograms single_worker(const std::vector<BlockFacts>& blocks, const Plan& plan,
                           ProgramKind kind) {
  const bool trains = kind == ProgramKind::train;
  const int count = static_cast<int>(blocks.size());
  Program program{.micro_batch_samples = plan.largest_part(), .trains = trains};
  const OpMaker make(blocks, kind, program.micro_batch_samples);

  program.ops.push_back(make.load(1));
  for (int block = 0; block < count; ++block) {
    // Nothing reads what autograd would keep of a block without a Backward.
    const bool saves = block >= make.lowest_trainable();
    const ForwardMode mode = !trains ? ForwardMode::evaluate
                             : saves ? ForwardMode::train
                                     : ForwardMode::no_save;
    program.ops.push_back(make.forward(block, 0, mode));
  }
  if (kind != ProgramKind::predict) program.ops.push_back(make.loss(0));
  if (trains) {
    for (int block = count - 1; block >= make.lowest_trainable(); --block) {
      program.ops.push_back(make.backward(block, 0));
    }
    const int world = program.group_index(world_of(plan.mesh));
    program.ops.push_back(make.agree({0, count}, world));
    program.ops.push_back(make.update({0, count}));
  }

  RankPrograms programs(plan.mesh.size(), program);
  for (int rank = 0; rank < plan.mesh.size(); ++rank) programs[rank].rank = rank;
  return programs;
}

}  // namespace shoal

// Sums over the batch inside a block: batch norm over the whole batch, say.
//   before   Load F0 F1 Loss B1 B0 Agree Update
//   after    the same list; F0 and B0 have a group when block 0 makes sums
// All members of the group run these operations in one order, for they run the same stage's blocks
// on the same micro-batches. Source: Zhang et al., Context Encoding for Semantic Segmentation, CVPR
// 2018, section 3 (synchronized batch normalization).
#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {

GroupFacts batch_sum_group(const Plan& plan, int rank) {
  const std::vector<std::string> axes = plan.layout.axes_of("batch", plan.mesh);
  if (axes.empty()) return {};
  return {.name = plan.mesh.group_name(axes, rank) + " in blocks",
          .ranks = plan.mesh.ranks_along(axes, rank)};
}

RankPrograms batch_sums(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                        const Plan& plan) {
  for (Program& program : programs) {
    if (!program.trains) continue;
    const GroupFacts group = batch_sum_group(plan, program.rank);
    if (group.ranks.empty()) continue;
    const OpMaker make(blocks, ProgramKind::train, program.micro_batch_samples);
    for (Op& op : program.ops) {
      if (!make.batch_sums(op).empty()) make.add_batch_sums(op, program.group_index(group));
    }
  }
  return programs;
}

}  // namespace shoal

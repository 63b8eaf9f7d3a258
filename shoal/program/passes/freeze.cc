// Freezing: parameters that stay as they are need no gradient, and blocks below the lowest
// trainable one no backward; nothing is kept for it either.
//   before   Load F0 F1 F2 Loss B2 B1 B0 Agree Update
//   after    Load F0 F1 F2 Loss B2 Agree Update          (blocks 0 and 1 frozen)
#include <algorithm>
#include <string>

#include "shoal/program/name_pattern.h"
#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

bool trains_value(const std::vector<BlockFacts>& blocks, const Value& value) {
  return blocks[value.block].parameters[value.index].trainable;
}

// Takes gradients, updates and optimizer states of frozen parameters out of the operation.
void drop_frozen(Op& op, const std::vector<BlockFacts>& blocks) {
  std::erase_if(op.reads, [&](const Use& use) {
    return use.value.kind == ValueKind::gradient && !trains_value(blocks, use.value);
  });
  std::erase_if(op.accumulates, [&](const Use& use) {
    const ValueKind kind = use.value.kind;
    const bool of_parameter = kind == ValueKind::gradient || kind == ValueKind::parameter ||
                              kind == ValueKind::optimizer_state;
    return of_parameter && !trains_value(blocks, use.value);
  });
}

void drop_writes(Op& op, ValueKind kind, int lowest) {
  std::erase_if(op.writes,
                [&](const Use& use) { return use.value.kind == kind && use.value.block < lowest; });
}

}  // namespace

std::vector<BlockFacts> frozen(std::vector<BlockFacts> blocks, const FreezeOptions& options) {
  for (int block = 0; block < std::ssize(blocks); ++block) {
    for (ParameterFacts& parameter : blocks[block].parameters) {
      const bool named = std::any_of(
          options.parameters.begin(), options.parameters.end(),
          [&](const std::string& pattern) { return matches_name(pattern, parameter.name); });
      if (named || block < options.blocks) parameter.trainable = false;
    }
  }
  return blocks;
}

RankPrograms freeze(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                    const FreezeOptions& options) {
  if (options.blocks == 0 && options.parameters.empty()) return programs;
  const std::vector<BlockFacts> facts = frozen(blocks, options);
  const int lowest = lowest_trainable(facts);
  for (Program& program : programs) {
    std::erase_if(program.ops,
                  [&](const Op& op) { return op.kind == OpKind::backward && op.block < lowest; });
    for (Op& op : program.ops) {
      drop_frozen(op, facts);
      drop_writes(op, ValueKind::saved, lowest);
      drop_writes(op, ValueKind::activation_gradient, lowest);
      if (op.kind == OpKind::forward && op.block < lowest && op.mode == ForwardMode::train) {
        op.mode = ForwardMode::no_save;
      }
    }
  }
  return programs;
}

}  // namespace shoal

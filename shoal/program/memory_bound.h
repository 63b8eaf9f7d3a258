// The most bytes a program holds at once, from its list alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shoal/program/program.h"

namespace shoal {

struct MemoryBound {
  std::int64_t peak = 0;              // bytes of tensors
  int at_op = 0;                      // index of the operation where the peak is reached
  std::map<ValueKind, std::int64_t> by_kind;  // at the peak
  std::int64_t workspace = 0;         // estimate inside that operation, part of `peak`
};

// Exact for named values (at the largest micro-batch), an estimate for saved and workspace.
// Carried values (parameters, buffers, optimizer states) count from the first operation on.
MemoryBound memory_bound(const Program& program, const std::vector<BlockFacts>& blocks,
                         double state_per_parameter);

}  // namespace shoal

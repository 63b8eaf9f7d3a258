// The most bytes a program holds at once, from its list alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shoal/program/program.h"

namespace shoal {

struct MemoryBound {
  std::int64_t peak = 0;  // bytes of tensors, `workspace` among them
  int at_op = 0;          // index of the first operation where the peak is reached
  std::map<ValueKind, std::int64_t> by_kind;  // named values alive there; kinds of 0 bytes left out
  std::int64_t workspace = 0;                 // estimate inside that operation
};

// Exact for named values (at the largest micro-batch), an estimate for saved and workspace.
// A value counts from the operation that first writes it through the one that frees it. Carried
// values count from beginning to end: all parameters and buffers of the blocks that the program
// runs, and the optimizer states that it names, of `state_per_parameter` times their parameter.
// Workspace is the block's own for forward and backward, and a contiguous copy of what is sent for
// communication.
// The operations are taken one at a time in list order; lanes that run ahead (a message that
// arrives early) may hold what they brought a little sooner.
MemoryBound memory_bound(const Program& program, const std::vector<BlockFacts>& blocks,
                         double state_per_parameter);

// "1.25 GiB at operation 12 B0: saved 800 MiB, parameter 450 MiB, workspace 30 MiB"
std::string text_of(const MemoryBound& bound, const Program& program);

}  // namespace shoal

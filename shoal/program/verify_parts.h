// The parts of the verifier, in the order in which they are asked: each relies on what the ones
// before it have found to hold.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/op_maker.h"
#include "shoal/program/program.h"

namespace shoal {

// What all checks of one named program ask about.
struct VerifyContext {
  VerifyContext(const std::vector<BlockFacts>& blocks, const Plan& plan, ProgramKind kind);

  const std::vector<BlockFacts>& blocks;
  const Plan& plan;
  ProgramKind kind;
  OpMaker make;
  int micro_batches;
  std::int64_t micro_batch_samples;
  std::vector<int> starts;  // first block of each stage, and the number of blocks
  // Axes that a parameter's gradient, or a buffer, is summed over; by block and index.
  std::vector<std::vector<std::vector<std::string>>> gradient_axes;
  std::vector<std::vector<std::vector<std::string>>> buffer_axes;

  BlockRange own(int stage) const { return {starts[stage], starts[stage + 1]}; }
  int last_block() const { return static_cast<int>(blocks.size()) - 1; }
};

// Part 1: the program is one for its rank of this plan, and each operation, taken alone, has the
// uses, bytes, peer and group that its kind means.
std::vector<std::string> op_faults(const Program& program, const VerifyContext& context);

// Part 2: values of one rank in the order of its list: written before read, not after freed, added
// once, complete and reduced where they are used.
std::vector<std::string> value_faults(const Program& program, const VerifyContext& context);

// Part 3: operations of different ranks fit: sends and receives, members' collectives.
std::vector<std::string> matching_faults(const RankPrograms& programs);

// Part 4: the lists finish. Relies on part 3. At most one fault: the circle of ranks that wait.
std::vector<std::string> progress_faults(const RankPrograms& programs);

// "rank 1, operation 5 (Receive(A0.1<0))"
std::string place_of(const Program& program, int op);

}  // namespace shoal

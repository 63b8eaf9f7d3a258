// Proves, before anything runs, that the programs of all ranks fit together and finish.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/program.h"

namespace shoal {

// Every mismatch found, each naming rank, operation (number and text) and, where two operations do
// not fit, both. Empty: the declared communication cannot deadlock and means what was compiled:
//   - no value is read before it is written, after it is freed, or in another version;
//   - each gradient is complete (every micro-batch, every group its parameter needs) when Update
//     or Agree reads it, and is counted once; each trainable parameter is updated exactly once;
//   - every Send has its Receive with the same value, bytes and type, in the same order of the
//   pair;
//   - the collectives of a group come in one order on all members, with equal values and bytes;
//   - operations carry the bytes that the facts of their values give;
//   - the lists, run one operation at a time per rank, finish.
// `blocks` as in Programs: what is frozen is not trainable. Costs O(uses of all operations). Safe
// on any list, whatever its numbers. After the first hundred mismatches only their count follows.
std::vector<std::string> verify(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                                const Plan& plan, ProgramKind kind);
// The kind taken from the programs: an Update trains, a Loss without one evaluates.
std::vector<std::string> verify(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                                const Plan& plan);
// All named programs; each message begins with the program's name.
std::vector<std::string> verify(const Programs& programs);

}  // namespace shoal

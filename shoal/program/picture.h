// Programs as pictures: text for terminals and tests, SVG for documents.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/program.h"
#include "shoal/program/simulate.h"

namespace shoal {

// One row a rank, one column a slot of equal length (every forward and backward of a stage one
// slot, communication none); a line under it counts slots and idle ones:
//   rank 0 | F.0 F.1 F.2  .   .  ...
std::string slot_picture(const RankPrograms& programs, const std::vector<BlockFacts>& blocks);
// Number of slots from the first forward's start to the last forward's end.
int forward_slots(const RankPrograms& programs, const std::vector<BlockFacts>& blocks);

// Lanes as rows over time, operations as boxes coloured by kind, with a legend and a time axis.
std::string svg_picture(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                        const Timeline& timeline, const std::string& title);

}  // namespace shoal

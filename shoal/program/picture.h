// Programs as pictures: text for terminals and tests, SVG for documents, a list for reading.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/program.h"
#include "shoal/program/simulate.h"

namespace shoal {

// Programs in slots of equal length: the forward of a stage's consecutive blocks on one micro-batch
// takes one slot, so does the backward (with the forwards it runs again), everything else none.
struct Slots {
  struct Box {
    int slot = 0;
    int micro_batch = 0;
    bool forward = true;
  };
  std::vector<std::vector<Box>> ranks;  // by rank, ascending
  int total = 0;                        // slots from beginning to end
  int forward = 0;                      // slots in which at least one rank runs forward
  int backward = 0;                     // slots in which at least one rank runs backward
  double busy = 0;                      // share of ranks x total that is not idle
};

// Throws InvalidInput when the programs do not finish.
Slots slots_of(const RankPrograms& programs);

// One row a rank (rows that are alike are one), one column a slot, numbered by micro-batch; a line
// under it counts:
//   rank 0 | F0 F1 F2 .  .  .  .  B0 B1 B2
//   rank 1 | .  F0 F1 F2 .  .  B0 B1 B2 .
//   rank 2 | .  .  F0 F1 F2 B0 B1 B2 .  .
//   5 forward slots, 5 backward slots; busy 60 %
std::string slot_picture(const RankPrograms& programs, const std::vector<BlockFacts>& blocks);
// Slots in which at least one rank runs forward: m + p - 1 with GPipe, m p with vanilla.
int forward_slots(const RankPrograms& programs, const std::vector<BlockFacts>& blocks);

// Lanes as rows over time, operations as boxes coloured by kind, with a legend and a time axis in
// ms. Waiting for peers is a pale box. Stands alone: no style sheet, no script, no font file.
std::string svg_picture(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                        const Timeline& timeline, const std::string& title);

// The operations of one rank for people, numbered as errors number them:
//     #  operation     lane          bytes  reads -> writes; frees
//     3  B1            compute     1.5 MiB  G1 saved 1 A0 -> G0 +gradient 1 (2); frees G1 saved 1
// "+" marks what is added to; "gradient 0-2 (6)" are six gradients of blocks 0 to 2. Lists are cut
// after a few names. Bytes are those sent, else those written, without optimizer states.
std::string program_listing(const Program& program, const std::vector<BlockFacts>& blocks);

}  // namespace shoal

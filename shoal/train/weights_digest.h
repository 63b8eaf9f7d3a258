// One number for all weights of a model, however they are spread.
#pragma once

#include <string>

#include "shoal/comm/world.h"
#include "shoal/execute/rank_model.h"
#include "shoal/program/program.h"

namespace shoal {

// The world ranks that hold block `block` in training, ascending.
std::vector<int> holders_of_block(const Programs& programs, int block);

// SHA-256 over all parameters, unsharded, as float32, little endian, concatenated in order of name;
// the same text on every rank. All ranks call it; parameters travel to rank 0 one at a time.
// Throws BrokenInvariant when ranks that hold the same block differ in a bit.
std::string weights_sha256(Group& world, const Programs& programs, const RankModel& model,
                           Deadline deadline);

}  // namespace shoal

// Small reductions, when every rank has all contributions: in the order of ranks, as two_shot adds,
// so that the bits do not depend on the size or the engine.
#pragma once

#include <cstddef>
#include <functional>

#include "shoal/comm/call.h"

namespace shoal {

// Reduces what reduce_scatter (`out`: the piece of `rank`) or all_reduce (`out`: everything) asks
// for. source(r) is the whole contribution of rank r.
void reduce_whole(const Call& call, int rank, int size, std::byte* out,
                  const std::function<const std::byte*(int)>& source);

}  // namespace shoal

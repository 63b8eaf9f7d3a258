// What every engine checks before it starts: mistakes of the caller that need no peer to be seen.
#pragma once

#include <string_view>

#include "shoal/comm/group.h"

namespace shoal {

// Each throws InvalidInput that says what does not fit.
void check_peer(int peer, int rank, int size, std::string_view what);
void check_root(int root, int size);
void check_all_gather(const ConstBuffer& in, const Buffer& out, int size);
void check_reduce_scatter(const ConstBuffer& in, const Buffer& out, int size);

}  // namespace shoal

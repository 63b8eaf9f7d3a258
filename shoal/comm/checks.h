// What every engine checks before it starts: mistakes of the caller that need no peer to be seen.
#pragma once

#include <span>
#include <string_view>

#include "shoal/comm/call.h"
#include "shoal/comm/failure.h"
#include "shoal/comm/group.h"

namespace shoal {

// Each throws InvalidInput that says what does not fit.
void check_peer(int peer, int rank, int size, std::string_view what);
void check_root(Operation operation, int root, int size);
void check_reduction(Operation operation, ElementType type, ReduceOp op);
void check_lists(Operation operation, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                 int size);
void check_all_gather(const ConstBuffer& in, const Buffer& out, int size);
void check_reduce_scatter(const ConstBuffer& in, const Buffer& out, ReduceOp op, int size);
void check_reduce(const ConstBuffer& in, const Buffer& out, int root, ReduceOp op, int rank,
                  int size);

// A rank gives another number of elements than is expected from it.
InvalidInput sizes_differ(const Place& place, int giver, std::uint64_t given, int taker,
                          const Buffer& expected);

// A message has not the shape that its receiver asked for.
InvalidInput messages_differ(const Place& place, int sender, const MessageShape& sent, int receiver,
                             const MessageShape& asked);

}  // namespace shoal

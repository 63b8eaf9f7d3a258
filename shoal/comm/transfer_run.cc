#include "shoal/comm/transfer_run.h"

#include <cstring>

#include "shoal/core/check.h"

namespace shoal {

TransferRun::TransferRun(int rank, std::span<const ConstBuffer> in, std::span<const Buffer> out)
    : rank_(rank) {
  for (const ConstBuffer& given : in) {
    outgoing_.push_back({.memory = const_cast<std::byte*>(given.data), .bytes = given.bytes()});
  }
  for (const Buffer& taken : out) {
    incoming_.push_back({.memory = taken.data, .bytes = taken.bytes()});
  }
  Stream& own = incoming_[rank];
  if (own.bytes != 0 && own.memory != outgoing_[rank].memory) {
    std::memmove(own.memory, outgoing_[rank].memory, own.bytes);
  }
  own.bytes = outgoing_[rank].bytes = 0;
}

// In turns, and everybody begins with another rank, so that none is flooded.
void TransferRun::send_ready(const Send& send) {
  const int size = static_cast<int>(outgoing_.size());
  for (bool sent = true; sent;) {
    sent = false;
    for (int step = 1; step < size; ++step) {
      const int peer = (rank_ + step) % size;
      Stream& stream = outgoing_[peer];
      const std::size_t here = stream.here();
      if (here == 0) continue;
      send(peer, stream.next, {{stream.memory + stream.at(), here}});
      ++stream.next;
      sent = true;
    }
  }
}

Stretches TransferRun::place(int from, std::uint32_t number) const {
  const Stream& stream = incoming_[from];
  if (number != stream.next || stream.left() == 0) return {};
  return {{stream.memory + stream.at(), stream.here()}};
}

void TransferRun::arrived(int from, std::uint32_t number) {
  check_equal(number, incoming_[from].next, "frames of a pair come in order");
  ++incoming_[from].next;
}

}  // namespace shoal

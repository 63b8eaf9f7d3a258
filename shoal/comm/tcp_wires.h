// What connects the ranks of a group: a TCP connection each, and a channel beside it where two are
// on one host.
#pragma once

#include <memory>
#include <vector>

#include "shoal/comm/frame_stream.h"
#include "shoal/comm/region.h"
#include "shoal/comm/socket.h"

namespace shoal {

struct TcpWires {
  // By rank, the own place empty: connections for collectives, and others for messages, so that
  // different threads can use them.
  std::vector<Socket> for_collectives;
  std::vector<Socket> for_messages;
  // Of the ranks of this host; null: everything goes over TCP. Shared: by all ranks when they are
  // threads.
  std::shared_ptr<Region> region;
  std::vector<int> places;  // by rank, where it is in the region; -1: on another host

  int size() const { return static_cast<int>(for_collectives.size()); }
};

// One direction each.
enum class Traffic : std::uint8_t { collectives, messages };
std::unique_ptr<FrameSender> sender_to(const TcpWires& wires, Traffic traffic, int rank, int peer,
                                       const TearBytes& tear);
std::unique_ptr<FrameReceiver> receiver_from(const TcpWires& wires, Traffic traffic, int rank,
                                             int peer, const TearBytes& tear);

}  // namespace shoal

// What connects the ranks of a group: a TCP connection each, and a channel beside it where two are
// on one host; or messages of MPI.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shoal/comm/frame_stream.h"
#include "shoal/comm/mpi_process.h"
#include "shoal/comm/region.h"
#include "shoal/comm/socket.h"

namespace shoal {

// Each has connections of its own, so that different threads can use them.
enum class Traffic : std::uint8_t { collectives, messages };
inline constexpr int kTraffics = 2;

struct FrameWires {
  explicit FrameWires(int size) {
    for (std::vector<Socket>& all : sockets) all.resize(static_cast<std::size_t>(size));
  }
  Socket& socket(Traffic traffic, int rank) { return sockets[static_cast<int>(traffic)][rank]; }
  const Socket& socket(Traffic traffic, int rank) const {
    return sockets[static_cast<int>(traffic)][rank];
  }

  // By traffic and rank, the own place empty; all are over MPI.
  std::array<std::vector<Socket>, kTraffics> sockets;
  // Of the ranks of this host; null: everything goes over TCP. Shared: by all ranks when they are
  // threads.
  std::shared_ptr<Region> region;
  std::vector<int> places;  // by rank, where it is in the region; -1: on another host
  std::optional<MpiWires> mpi;
};

// One direction each; null for the own rank.
std::unique_ptr<FrameSender> sender_to(const FrameWires& wires, Traffic traffic, int rank, int peer,
                                       const TearBytes& tear);
std::unique_ptr<FrameReceiver> receiver_from(const FrameWires& wires, Traffic traffic, int rank,
                                             int peer, const TearBytes& tear);

}  // namespace shoal

#include "shoal/comm/frame_wires.h"

#include "shoal/comm/mpi_stream.h"
#include "shoal/comm/ring_stream.h"
#include "shoal/comm/tcp_stream.h"

namespace shoal {
namespace {

bool shares_memory(const FrameWires& wires, int peer) {
  return wires.region && wires.places[peer] >= 0;
}

MpiPlace place_of(const MpiWires& mpi, Traffic traffic, int peer) {
  return {mpi.ranks[peer], mpi.tag + static_cast<int>(traffic)};
}

int channel(const FrameWires& wires, Traffic traffic, int from, int to) {
  const RegionShape& shape = wires.region->shape();
  return traffic == Traffic::messages
             ? shape.message_channel(wires.places[from], wires.places[to])
             : shape.collective_channel(wires.places[from], wires.places[to]);
}

}  // namespace

std::unique_ptr<FrameSender> sender_to(const FrameWires& wires, Traffic traffic, int rank, int peer,
                                       const TearBytes& tear) {
  if (peer == rank) return nullptr;
  if (wires.mpi) {
    return std::make_unique<MpiSender>(wires.mpi->process, place_of(*wires.mpi, traffic, peer),
                                       tear);
  }
  const int fd = wires.socket(traffic, peer).fd();
  if (!shares_memory(wires, peer)) return std::make_unique<SocketSender>(fd, tear);
  return std::make_unique<RingSender>(
      ChannelWriter(*wires.region, channel(wires, traffic, rank, peer)), fd, tear);
}

std::unique_ptr<FrameReceiver> receiver_from(const FrameWires& wires, Traffic traffic, int rank,
                                             int peer, const TearBytes& tear) {
  if (peer == rank) return nullptr;
  if (wires.mpi) {
    return std::make_unique<MpiReceiver>(wires.mpi->process, place_of(*wires.mpi, traffic, peer),
                                         tear);
  }
  const int fd = wires.socket(traffic, peer).fd();
  if (!shares_memory(wires, peer)) return std::make_unique<SocketReceiver>(fd, tear);
  return std::make_unique<RingReceiver>(
      ChannelReader(*wires.region, channel(wires, traffic, peer, rank)), fd, tear);
}

}  // namespace shoal

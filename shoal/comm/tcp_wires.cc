#include "shoal/comm/tcp_wires.h"

#include "shoal/comm/ring_stream.h"
#include "shoal/comm/tcp_stream.h"

namespace shoal {
namespace {

bool shares_memory(const TcpWires& wires, int rank, int peer) {
  return wires.region && peer != rank && wires.places[peer] >= 0;
}

int channel(const TcpWires& wires, Traffic traffic, int from, int to) {
  const RegionShape& shape = wires.region->shape();
  return traffic == Traffic::messages
             ? shape.message_channel(wires.places[from], wires.places[to])
             : shape.collective_channel(wires.places[from], wires.places[to]);
}

}  // namespace

std::unique_ptr<FrameSender> sender_to(const TcpWires& wires, Traffic traffic, int rank, int peer,
                                       const TearBytes& tear) {
  const int fd = wires.socket(traffic, peer).fd();
  if (!shares_memory(wires, rank, peer)) return std::make_unique<SocketSender>(fd, tear);
  return std::make_unique<RingSender>(
      ChannelWriter(*wires.region, channel(wires, traffic, rank, peer)), fd, tear);
}

std::unique_ptr<FrameReceiver> receiver_from(const TcpWires& wires, Traffic traffic, int rank,
                                             int peer, const TearBytes& tear) {
  const int fd = wires.socket(traffic, peer).fd();
  if (!shares_memory(wires, rank, peer)) return std::make_unique<SocketReceiver>(fd, tear);
  return std::make_unique<RingReceiver>(
      ChannelReader(*wires.region, channel(wires, traffic, peer, rank)), fd, tear);
}

}  // namespace shoal

#include "shoal/comm/tcp_wires.h"

#include "shoal/comm/ring_stream.h"
#include "shoal/comm/tcp_stream.h"

namespace shoal {
namespace {

int descriptor(const TcpWires& wires, Traffic traffic, int peer) {
  const bool messages = traffic == Traffic::messages;
  return (messages ? wires.for_messages : wires.for_collectives)[peer].fd();
}

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
  const int fd = descriptor(wires, traffic, peer);
  if (!shares_memory(wires, rank, peer)) return std::make_unique<SocketSender>(fd, tear);
  Region& region = *wires.region;
  const int index = channel(wires, traffic, rank, peer);
  return std::make_unique<RingSender>(
      ChannelWriter(region.channel(index), region.channel_memory(index),
                    region.shape().channel_bytes),
      fd, tear);
}

std::unique_ptr<FrameReceiver> receiver_from(const TcpWires& wires, Traffic traffic, int rank,
                                             int peer, const TearBytes& tear) {
  const int fd = descriptor(wires, traffic, peer);
  if (!shares_memory(wires, rank, peer)) return std::make_unique<SocketReceiver>(fd, tear);
  Region& region = *wires.region;
  const int index = channel(wires, traffic, peer, rank);
  return std::make_unique<RingReceiver>(
      ChannelReader(region.channel(index), region.channel_memory(index),
                    region.shape().channel_bytes),
      fd, tear);
}

}  // namespace shoal

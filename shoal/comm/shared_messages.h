// Point-to-point messages of a group that shares a region.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "shoal/comm/channel.h"
#include "shoal/comm/group.h"
#include "shoal/comm/shared_wait.h"

namespace shoal {

// A message is a header of one unit and its bytes. A send copies into the channel and returns; when
// the channel is full it keeps what comes in meanwhile in memory of this rank, so that two ranks
// that send to each other before they receive do not wait for ever. Sends to one rank, and receives
// from one rank, are made by one thread at a time; otherwise any.
class SharedMessages {
 public:
  SharedMessages(const SharedGroupSpec& spec, SharedWait& wait);

  void send(ConstBuffer data, int to, Deadline deadline);
  void receive(Buffer data, int from, Deadline deadline);
  bool has_message(int from);

 private:
  struct Incoming {
    explicit Incoming(ChannelReader reader) : ring(reader) {}
    std::size_t read_some(std::byte* data, std::size_t bytes);
    void keep_what_is_there();
    bool anything() const { return kept_begin != kept.size() || ring.available() != 0; }

    std::mutex mutex;  // guards everything below
    ChannelReader ring;
    std::vector<std::byte> kept;  // taken out of the ring to let the peer go on; whole units
    std::size_t kept_begin = 0;   // what lies before was read
    std::uint64_t messages = 0;
  };
  struct Outgoing {
    explicit Outgoing(ChannelWriter writer) : ring(writer) {}
    ChannelWriter ring;
    std::uint64_t messages = 0;
  };
  class Message;

  void write(Outgoing& outgoing, const std::byte* data, std::size_t bytes, const Message& message,
             Deadline deadline);
  void read(Incoming& incoming, std::byte* data, std::size_t bytes, const Message& message,
            Deadline deadline);

  const SharedGroupSpec& spec_;
  SharedWait& wait_;
  std::deque<Incoming> incoming_;  // by rank; a deque because a mutex cannot move
  std::deque<Outgoing> outgoing_;
};

}  // namespace shoal

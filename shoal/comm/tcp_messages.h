// Point-to-point messages of a tcp group.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "shoal/comm/tcp_standing.h"
#include "shoal/comm/tcp_stream.h"

namespace shoal {

// A message is one frame or several; a send returns when the kernel has taken them. While it
// cannot, what comes in from anybody is kept in memory of this rank, so that two ranks that send to
// each other before they receive do not wait for ever. Sends to one rank, and receives from one
// rank, are made by one thread at a time; otherwise any.
class TcpMessages {
 public:
  explicit TcpMessages(TcpStanding& standing);

  void send(ConstBuffer data, int to, Deadline deadline);
  void receive(Buffer data, int from, Deadline deadline);
  bool has_message(int from);
  // Tells those ranks to which nobody is sending why this one goes. Returns soon.
  void say_farewell();

 private:
  struct Incoming {
    Incoming(int fd, const TearBytes& tear) : fd(fd), in(fd, tear) {}
    const int fd;
    std::mutex mutex;  // guards everything below
    FrameReceiver in;
    // Frames that were read before somebody asked for them. The last one may be under way.
    struct Kept {
      FrameHeader header;
      std::vector<std::byte> payload;
    };
    std::deque<Kept> kept;
    bool last_is_under_way = false;
    bool open = true;
    bool died = false;     // the connection ended without a farewell
    FrameHeader farewell;  // when not open
    std::uint64_t messages = 0;
  };
  struct Outgoing {
    Outgoing(int fd, const TearBytes& tear) : out(fd, tear), fd(fd) {}
    std::mutex mutex;  // guards everything below
    FrameSender out;
    const int fd;
    std::uint64_t messages = 0;
    bool farewell_said = false;
  };
  class Message;

  // Reads everything that is there into `kept`.
  void keep_what_is_there(Incoming& incoming);
  void keep_from_all(const Message& message);
  void read_frame(Incoming& incoming, std::byte* data, std::size_t bytes, const Message& message,
                  FrameHeader& header);
  void check_header(const FrameHeader& header, const Message& message, std::size_t bytes);
  void fail_closed(const Incoming& incoming, int peer, const Place& place);
  void wait(int fd, short events, bool watch_all, const Message& message);

  TcpStanding& standing_;
  std::deque<Incoming> incoming_;  // by rank; the own ones are not used
  std::deque<Outgoing> outgoing_;
};

}  // namespace shoal

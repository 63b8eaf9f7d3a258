// Point-to-point messages of a tcp group.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "shoal/comm/frame_standing.h"

namespace shoal {

// A message is one frame or several; a send returns when the kernel has taken them. While it
// cannot, what comes in from anybody is kept in memory of this rank, so that two ranks that send to
// each other before they receive do not wait for ever. Sends to one rank, and receives from one
// rank, are made by one thread at a time; otherwise any.
class FrameMessages {
 public:
  explicit FrameMessages(FrameStanding& standing);

  void send(ConstBuffer data, int to, Deadline deadline);
  void receive(Buffer data, int from, Deadline deadline);
  bool has_message(int from);
  // Tells the others for whom this rank waits, and hears what they say. Any thread; does not block.
  void tell_of_waiting(const FrameHeader& header) { tell_others(header, nullptr); }
  // What a rank said last; nullopt when it was not lately, or another thread receives from there.
  std::optional<RankSet> waits_of(int rank);
  // Tells those ranks to which nobody is sending why this one goes. Returns soon.
  void say_farewell();

 private:
  struct Incoming {
    Incoming(int fd, std::unique_ptr<FrameReceiver> in) : fd(fd), in(std::move(in)) {}
    const int fd;                             // -1: there is none
    std::mutex mutex;                         // guards everything below
    const std::unique_ptr<FrameReceiver> in;  // null: the own rank
    // Frames that were read before somebody asked for them. The last one may be under way.
    struct Kept {
      FrameHeader header;
      std::vector<std::byte> payload;
    };
    std::deque<Kept> kept;
    bool last_is_under_way = false;
    bool open = true;
    bool died = false;  // the connection ended without a farewell
    Farewell farewell;  // when not open
    PeerWaits waits;
    std::uint64_t messages = 0;
  };
  struct Outgoing {
    Outgoing(int fd, std::unique_ptr<FrameSender> out) : fd(fd), out(std::move(out)) {}
    const int fd;                            // -1: there is none
    std::mutex mutex;                        // guards everything below
    const std::unique_ptr<FrameSender> out;  // null: the own rank
    std::uint64_t messages = 0;
    bool farewell_said = false;
  };
  class Message;

  // Takes the header of a frame that is about its sender, not of a message: false for others. What
  // follows it completes it.
  static bool place_notice(Incoming& incoming);
  // Goes on behind a complete frame: true when it was such a one.
  static bool finish_notice(Incoming& incoming);
  // `own`: a message of the calling thread, which has its locks.
  void tell_others(const FrameHeader& header, const Message* own);
  // Reads everything that is there into `kept`.
  void keep_what_is_there(Incoming& incoming);
  void keep_from_all(const Message& message);
  void read_frame(Incoming& incoming, std::byte* data, std::size_t bytes, Message& message,
                  FrameHeader& header);
  void check_header(const FrameHeader& header, const Message& message, std::size_t bytes);
  void fail_closed(const Incoming& incoming, int peer, const Place& place);
  void wait(Message& message);
  // A sender keeps what comes from others; a receiver is only to be woken by their end. False when
  // there is something to do already.
  bool watch_others(std::vector<pollfd>& entries, const Message& message);
  void look_at_descriptors(const std::vector<pollfd>& entries, const Message& message);
  void look_around(Message& message);

  FrameStanding& standing_;
  std::deque<Incoming> incoming_;  // by rank; the own ones are not used
  std::deque<Outgoing> outgoing_;
};

}  // namespace shoal

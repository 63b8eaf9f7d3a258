// The connections over which one rank makes the collectives of a tcp group.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/tcp_messages.h"
#include "shoal/comm/tcp_standing.h"
#include "shoal/comm/tcp_stream.h"

namespace shoal {

// What one collective does with the frames that come in. All calls come from TcpLinks::run.
class TcpExchange {
 public:
  // Where the payload of a frame of this call goes; false: not yet, ask again later.
  virtual bool place(int from, const FrameHeader& header, Stretches& where) = 0;
  virtual void arrived(int from, const FrameHeader& header) = 0;
  virtual bool awaits(int from) const = 0;  // something is still to come from there

 protected:
  ~TcpExchange() = default;
};

// One collective under way.
struct TcpRound {
  Call call;
  std::uint64_t packed = 0;
  std::uint64_t number = 0;
  Deadline deadline = Deadline::never();
  std::vector<std::uint64_t> seen;  // by rank: the call of the frames that came; 0: none came
};

// One thread at a time.
class TcpLinks {
 public:
  // Whoever waits here says so over the connections for messages, where everybody looks.
  TcpLinks(TcpStanding& standing, TcpMessages& messages);

  FrameHeader header(const TcpRound& round, FrameKind kind, std::uint32_t index,
                     std::size_t bytes) const;
  // The payload is borrowed until run() returns.
  void queue(int to, const FrameHeader& header, Stretches payload);
  // Moves frames in all directions until nothing is awaited and everything queued is with the
  // kernel.
  void run(TcpExchange& exchange, TcpRound& round);
  // Tells all ranks why this one goes. Returns soon, whatever they do.
  void say_farewell();

  std::uint64_t bytes_queued() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Link {
    Link(int fd, const TearBytes& tear) : fd(fd), out(fd, tear), in(fd, tear) {}
    int fd;
    FrameSender out;
    FrameReceiver in;
    bool held = false;  // what it sent is for later
    bool open = true;   // false once it said farewell or the connection ended
    Farewell farewell;  // when not open
  };
  void drive(TcpExchange& exchange, TcpRound& round);
  bool take_in(int peer, TcpExchange& exchange, TcpRound& round);
  bool take_header(int peer, TcpExchange& exchange, TcpRound& round);
  void wait(const TcpExchange& exchange, const TcpRound& round, TellsOfWaiting& tells);
  std::vector<int> absent(const TcpExchange& exchange, const TcpRound& round) const;
  Place place_of(const TcpRound& round) const;

  TcpStanding& standing_;
  TcpMessages& messages_;
  const int rank_;
  std::deque<Link> links_;  // by rank; the own one is not used
  SocketPatience patience_;
  std::vector<pollfd> entries_;  // kept to spare allocations
  std::atomic<std::uint64_t> bytes_{0};
  bool farewell_said_ = false;
};

}  // namespace shoal

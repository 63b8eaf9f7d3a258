// The connections over which one rank makes the collectives of a tcp group.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/frame_messages.h"
#include "shoal/comm/frame_standing.h"

namespace shoal {

// What one collective does with the frames that come in. All calls come from FrameLinks::run.
class FrameExchange {
 public:
  // Where the payload of a frame of this call goes; false: not yet, ask again later.
  virtual bool place(int from, const FrameHeader& header, Stretches& where) = 0;
  virtual void arrived(int from, const FrameHeader& header) = 0;
  virtual bool awaits(int from) const = 0;  // something is still to come from there

 protected:
  ~FrameExchange() = default;
};

// One collective under way.
struct FrameRound {
  Call call;
  std::uint64_t packed = 0;
  std::uint64_t number = 0;
  Deadline deadline = Deadline::never();
  std::vector<std::uint64_t> seen{};  // by rank: the call of the frames that came; 0: none came
};

// One thread at a time.
class FrameLinks {
 public:
  // Whoever waits here says so over the connections for messages, where everybody looks.
  FrameLinks(FrameStanding& standing, FrameMessages& messages);

  FrameHeader header(const FrameRound& round, FrameKind kind, std::uint32_t index,
                     std::size_t bytes) const;
  // The payload is borrowed until run() returns.
  void queue(int to, const FrameHeader& header, Stretches payload);
  // Moves frames in all directions until nothing is awaited and everything queued is with the
  // kernel.
  void run(FrameExchange& exchange, FrameRound& round);
  // Tells all ranks why this one goes. Returns soon, whatever they do.
  void say_farewell();

  std::uint64_t bytes_queued() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_between_hosts() const {
    return bytes_between_hosts_.load(std::memory_order_relaxed);
  }

 private:
  struct Link {
    int fd = -1;  // that is readable when there is something to do; -1: there is none
    std::unique_ptr<FrameSender> out;  // null: the own rank
    std::unique_ptr<FrameReceiver> in;
    bool leaves_host = false;
    bool held = false;    // what it sent is for later
    bool open = true;     // false once it said farewell or the connection ended
    Farewell farewell{};  // when not open
  };
  void drive(FrameExchange& exchange, FrameRound& round);
  bool take_in(int peer, FrameExchange& exchange, FrameRound& round);
  bool take_header(int peer, FrameExchange& exchange, FrameRound& round);
  void compare_calls(int peer, const FrameHeader& header, FrameRound& round);
  void wait(const FrameExchange& exchange, const FrameRound& round, TellsOfWaiting& tells);
  bool fill_entries();
  std::vector<int> absent(const FrameExchange& exchange, const FrameRound& round) const;
  Place place_of(const FrameRound& round) const;

  FrameStanding& standing_;
  FrameMessages& messages_;
  const int rank_;
  std::vector<Link> links_;  // by rank; the own one is not used
  SocketPatience patience_;
  Naps naps_;
  std::vector<pollfd> entries_;  // by rank, and one more; kept to spare allocations
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> bytes_between_hosts_{0};
  // The call before: a rank may have ended it before it heard what others called.
  FrameRound last_;
  bool farewell_said_ = false;
};

}  // namespace shoal

// What the threads of one rank know about the life of a tcp group.
#pragma once

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/comm/choices.h"
#include "shoal/comm/failure.h"
#include "shoal/comm/flag.h"
#include "shoal/comm/frame_wires.h"
#include "shoal/comm/region.h"
#include "shoal/comm/roll_call.h"
#include "shoal/comm/topology.h"
#include "shoal/comm/world.h"

namespace shoal {

struct FrameGroupSpec {
  std::string name;
  std::string_view engine = "tcp";
  int rank = 0;
  int size = 1;
  FrameWires wires{0};
  Patience patience;
  AlgorithmPolicy algorithms;
  NetworkLayout layout;
  TearBytes tear;
  // The ranks of the group whose processes on this host have ended. Any thread; called rarely.
  std::function<std::vector<int>()> dead = [] { return std::vector<int>{}; };
};

// The last frame of a rank.
struct Farewell {
  static constexpr std::size_t kMostBytes = 4096;
  FrameHeader header;
  std::string words;
  // Where the payload of a farewell goes; its `header` is taken over. nullopt: it is impossible.
  std::optional<Stretches> place(const FrameHeader& from);
  bool in_peace() const { return header.call == static_cast<std::uint64_t>(Ending::left); }
};

// What a peer last said about its waiting.
class PeerWaits {
 public:
  void take(const FrameHeader& header);
  // nullopt when it has not said so lately: it does not wait, or has stopped.
  std::optional<RankSet> ranks() const;

 private:
  RankSet ranks_;
  Deadline::Clock::time_point until_{};
};

// When a rank that waits tells the others for whom. Costs nothing until it waits.
class TellsOfWaiting {
 public:
  explicit TellsOfWaiting(Deadline deadline) : deadline_(deadline) {}
  // True when so long has passed since the last time that the others' lives are to be looked at,
  // whatever the sockets say: one that is ready again and again must not keep a wait from it.
  bool look_is_due();
  // True once every period, of which the first begins with the first call.
  bool is_due();
  FrameHeader frame(const std::vector<int>& awaited) const;
  std::chrono::milliseconds period() const { return period_; }  // once is_due() was called

 private:
  Deadline deadline_;
  std::chrono::milliseconds period_{0};
  Deadline::Clock::time_point next_{};
  Deadline::Clock::time_point looked_{};
};

// Where nothing wakes a sleeper: it sleeps in short naps, each twice as long as the one before, so
// that an answer that comes soon is seen soon and a late one costs little.
class Naps {
 public:
  void reset() { next_ = kFirst; }
  std::chrono::microseconds next() { return std::exchange(next_, std::min(2 * next_, kLongest)); }

 private:
  static constexpr std::chrono::microseconds kFirst{20};
  static constexpr std::chrono::microseconds kLongest{1000};
  std::chrono::microseconds next_ = kFirst;
};

// Any thread.
class FrameStanding {
 public:
  explicit FrameStanding(const FrameGroupSpec& spec);

  const FrameGroupSpec& spec() const { return spec_; }
  void rethrow_if_spent() const { spent_.rethrow_if_set(); }
  bool is_spent() const { return spent_.is_set(); }
  int wake_fd() const { return wake_.fd(); }  // readable once the group is spent

  // Makes the group spent with this error, if it was not; wakes all threads. `ending`, `blamed` and
  // `words` are what the other ranks will be told.
  void spend(std::exception_ptr error, Ending ending, int blamed, std::string_view words);
  // Sends the last frame over one connection, which then takes no more. By `soon`. `fd`: -1 where
  // there is none.
  void say_farewell(int fd, FrameSender& out, Deadline soon) const;
  // How long saying it may take. One that leaves in peace waits until the others have taken what it
  // sent before; one that fails does not wait for those who may be the reason.
  Deadline farewell_deadline() const;

  // Sleeps until one of the entries is ready, of which the last is wake_fd(), or for a nap where
  // the peers have no descriptors. True when it slept so long that it is time to look around.
  bool sleep(std::vector<pollfd>& entries, Deadline deadline, const TellsOfWaiting& tells,
             Naps& naps) const;
  bool has_descriptors() const { return !spec_.wires.mpi; }
  // What a wait asks the caller about the other ranks.
  struct Others {
    std::function<std::vector<int>()> absent;  // who has not come
    std::function<bool(int)> left_in_peace;    // said farewell after its last call
    std::function<std::optional<RankSet>(int)> waits_for;
  };
  // Throws when a process of the group has died or the deadline has passed.
  void look_around(const Place& place, const Others& others, Deadline deadline);
  // Throws what a farewell, or a connection that ended without one, means for a call that still
  // needs the peer.
  [[noreturn]] void fail_without(const Place& place, int peer, const Farewell& farewell);
  [[noreturn]] void fail_connection(const Place& place, int peer, std::string_view how);

  template <typename E>
  [[noreturn]] void fail(Ending ending, int blamed, const E& error) {
    spend(std::make_exception_ptr(error), ending, blamed, error.what());
    throw error;
  }

 private:
  const FrameGroupSpec& spec_;
  Socket wake_;
  void queue_farewell(FrameSender& out) const;  // the payload lies in this object

  Spent spent_;
  mutable std::mutex mutex_;  // guards everything below
  Ending ending_ = Ending::left;
  int blamed_ = -1;
  std::string words_;  // does not change once the group is spent
};

// Waiting for sockets: first polling, then asleep in the kernel.
class SocketPatience {
 public:
  explicit SocketPatience(const Patience& patience) : patience_(patience) {}
  void reset() { waiting_ = false; }
  // True while it is worth looking at the sockets again without sleeping.
  bool try_again();

 private:
  Patience patience_;
  bool waiting_ = false;
  Deadline::Clock::time_point since_;
};

}  // namespace shoal

// What the threads of one rank know about the life of a tcp group.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/failure.h"
#include "shoal/comm/flag.h"
#include "shoal/comm/region.h"
#include "shoal/comm/socket.h"
#include "shoal/comm/tcp_stream.h"
#include "shoal/comm/world.h"

namespace shoal {

struct TcpGroupSpec {
  std::string name;
  int rank = 0;
  int size = 1;
  // By rank, the own place empty: connections for collectives, and others for messages, so that
  // different threads can use them.
  std::vector<Socket> for_collectives;
  std::vector<Socket> for_messages;
  Patience patience;
  Algorithm algorithm = Algorithm::two_shot;
  TearBytes tear;
  // The ranks of the group whose processes on this host have ended. Any thread; called rarely.
  std::function<std::vector<int>()> dead = [] { return std::vector<int>{}; };
};

// Any thread.
class TcpStanding {
 public:
  explicit TcpStanding(const TcpGroupSpec& spec);

  const TcpGroupSpec& spec() const { return spec_; }
  void rethrow_if_spent() const { spent_.rethrow_if_set(); }
  bool is_spent() const { return spent_.is_set(); }
  int wake_fd() const { return wake_.fd(); }  // readable once the group is spent

  // Makes the group spent with this error, if it was not; wakes all threads. `ending` and `blamed`
  // are what the other ranks will be told.
  void spend(std::exception_ptr error, Ending ending, int blamed);
  FrameHeader farewell() const;
  // How long saying it may take. One that leaves in peace waits until the others have taken what it
  // sent before; one that fails does not wait for those who may be the reason.
  Deadline farewell_deadline() const;

  // In milliseconds: how long a wait may sleep before it has to look around.
  int longest_sleep(Deadline deadline) const;
  // What a wait asks the caller about the other ranks.
  struct Others {
    std::function<std::vector<int>()> absent;  // who has not come
    std::function<bool(int)> left_in_peace;    // said farewell after its last call
  };
  // Throws when a process of the group has died or the deadline has passed.
  void look_around(const Place& place, const Others& others, Deadline deadline);
  // Throws what a farewell, or a connection that ended without one, means for a call that still
  // needs the peer.
  [[noreturn]] void fail_without(const Place& place, int peer, const FrameHeader& farewell);
  [[noreturn]] void fail_connection(const Place& place, int peer, std::string_view how);

  template <typename E>
  [[noreturn]] void fail(Ending ending, int blamed, const E& error) {
    spend(std::make_exception_ptr(error), ending, blamed);
    throw error;
  }

 private:
  const TcpGroupSpec& spec_;
  Socket wake_;
  Spent spent_;
  std::atomic<std::uint32_t> ending_{static_cast<std::uint32_t>(Ending::left)};
  std::atomic<std::int32_t> blamed_{-1};
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

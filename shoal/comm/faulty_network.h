// A network between the ranks of a tcp group that does one thing wrong: for tests.
//
// The group's own code is not changed: in the store, every rank's port is replaced by one of this
// network, which forwards what comes, byte by byte as it likes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shoal/comm/store.h"
#include "shoal/comm/topology.h"

namespace shoal::test {

enum class FaultKind : std::uint8_t {
  none,
  delay,      // the stream stands still for `pause`
  crumbs,     // `bytes` of it come one, two or three at a time
  stall,      // nothing comes any more, and nobody says so
  drop,       // `bytes` of it never come
  duplicate,  // up to `bytes` of it come twice
  corrupt,    // one bit is another
  reset,      // the connection ends both ways, without a farewell
  kill,       // all connections of the sending rank end so
};
inline constexpr FaultKind kFaultKinds[] = {
    FaultKind::none, FaultKind::delay,     FaultKind::crumbs,  FaultKind::stall, FaultKind::drop,
    FaultKind::kill, FaultKind::duplicate, FaultKind::corrupt, FaultKind::reset};
std::string_view name_of(FaultKind kind);

// In the stream from one rank to another, once `at` bytes of it, handshake included, have passed.
struct Fault {
  FaultKind kind = FaultKind::none;
  int from = 0;
  int to = 1;
  int channel = 0;  // 0: collectives, 1: messages
  std::size_t at = 0;
  std::size_t bytes = 1;
  std::chrono::milliseconds pause{0};
};

class FaultyNetwork {
 public:
  explicit FaultyNetwork(const Fault& fault);
  // Without faults. Each connection for collectives carries what its link does, both ways at once;
  // all others as much as they can. Latencies are not looked at.
  explicit FaultyNetwork(const Topology& pace);
  ~FaultyNetwork();  // ends all connections
  FaultyNetwork(const FaultyNetwork&) = delete;
  FaultyNetwork& operator=(const FaultyNetwork&) = delete;

  // A port that leads to `rank`, which listens at `port` of the loopback. Any thread.
  int in_front_of(int rank, int port);
  bool has_struck() const;  // the fault was injected; any thread

 private:
  struct Way;
  struct Wire;
  class Wires;
  const std::unique_ptr<Wires> wires_;
};

// A memory store for tcp groups alone, in which their offers lead into `network`. Borrows it.
std::shared_ptr<Store> store_through(FaultyNetwork& network);

}  // namespace shoal::test

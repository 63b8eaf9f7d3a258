// What the ranks of a measurement share beside the group that is measured: where they meet before a
// call and write down how long it took. Memory that forked processes share.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <string>

#include "shoal/comm/flag.h"
#include "shoal/comm/yielding.h"
#include "shoal/core/deadline.h"

namespace shoal {

class MeasureBoard {
 public:
  static constexpr int kMostRanks = 128;
  static constexpr int kMostCalls = 400;

  // `crowded`: the ranks share cores, so that waiting gives way at once.
  MeasureBoard(int ranks, bool crowded);
  ~MeasureBoard();
  MeasureBoard(const MeasureBoard&) = delete;
  MeasureBoard& operator=(const MeasureBoard&) = delete;

  // Returns when all ranks have called it equally often. Not the group's barrier: ranks leave it
  // within a cache line's way of each other whatever the engine. Where they share cores they
  // cannot, and rank 0, the root of rooted operations, is the first, as it is after the barriers of
  // MPIs. Throws Cancelled after stop(), TimedOut when `deadline` passes.
  void meet(int rank, Deadline deadline);
  void stop();

  // Of call `call` of the repetition under way; read by others between two meetings.
  double& seconds(int rank, int call) { return shared_->seconds[rank][call]; }

  // Where the store is served; processes are forked before.
  void tell_port(int port);
  int port(Deadline deadline) const;  // waits; throws TimedOut, Cancelled

  // How a rank's process ended, for the process that started it.
  void fail(int rank, const std::exception_ptr& error);
  // The error that is no consequence of another one, as its type; returns when there is none.
  void rethrow_first() const;

 private:
  enum class Kind : std::uint8_t { none, invalid, lost, timed_out, cancelled, other };
  struct alignas(64) Arrivals {
    Flag count;
  };
  struct Failure {
    std::atomic<Kind> kind{Kind::none};
    std::array<char, 1023> text{};
  };
  struct Shared {
    std::array<Arrivals, kMostRanks> arrivals;
    std::atomic<bool> stopped{false};
    std::atomic<int> port{0};
    std::array<Failure, kMostRanks> failures;
    std::array<std::array<double, kMostCalls>, kMostRanks> seconds;
  };
  void require_running(Deadline deadline, const char* what) const;

  int ranks_;
  bool crowded_;
  Shared* shared_;
  Yielding yielding_;
};

}  // namespace shoal

// What the errors of all engines say: who, in which operation of which group, since when.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/core/deadline.h"
#include "shoal/core/error.h"

namespace shoal {

// "rank 3", "ranks 0, 1 and 2"
std::string rank_list(const std::vector<int>& ranks);

// One operation of one group, for messages.
struct Place {
  std::string operation;  // "all_reduce", "receive from rank 2"
  std::uint64_t number = 0;
  std::string group;
  std::string text() const;  // "all_reduce #182 of group data"
};

// `waited`: of those present; 0 when they told this rank.
TimedOut not_joined(const Place& place, const std::vector<int>& absent,
                    const std::vector<int>& present, std::chrono::milliseconds waited);
PeerLost peer_gone(const Place& place, int rank, const std::string& how);
// calls[r] is what rank r called, 0 where nothing has come from it. Ranks that called the same
// stand together.
InvalidInput calls_differ(const Place& place, const std::vector<std::uint64_t>& calls);
Cancelled aborted(const Place& place);

// The first error of a group; later calls meet it again. Any thread.
class Spent {
 public:
  void rethrow_if_set() const {
    if (set_.load(std::memory_order_acquire)) [[unlikely]]
      rethrow();
  }
  bool is_set() const { return set_.load(std::memory_order_acquire); }
  // Keeps the first. Returns whether this was it.
  bool set(std::exception_ptr error);

 private:
  void rethrow() const;
  std::atomic<bool> set_{false};
  mutable std::mutex mutex_;  // guards error_
  std::exception_ptr error_;
};

}  // namespace shoal

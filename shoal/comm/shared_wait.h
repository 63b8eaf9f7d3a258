// Waiting for ranks that share a region, until they come, are gone, or time is up.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/choices.h"
#include "shoal/comm/failure.h"
#include "shoal/comm/flag.h"
#include "shoal/comm/region.h"
#include "shoal/comm/roll_call.h"
#include "shoal/comm/topology.h"
#include "shoal/comm/yielding.h"

namespace shoal {

struct SharedGroupSpec {
  std::string name;
  std::string_view engine;  // "memory" or "shm"
  int rank = 0;
  std::shared_ptr<Region> region;  // shared: by all ranks when they are threads
  Patience patience;
  AlgorithmPolicy algorithms;
  NetworkLayout layout;
  // The ranks of the group whose processes have ended. Any thread; called rarely.
  std::function<std::vector<int>()> dead = [] { return std::vector<int>{}; };
};

// What a rank is doing while it waits; asked only when the wait fails.
class Doing {
 public:
  virtual Place place() const = 0;
  // The ranks that have not come; may be empty when only data is awaited.
  virtual std::vector<int> absent() const = 0;
  // Who called what, once it is seen that two ranks' calls differ.
  virtual std::optional<InvalidInput> difference() const { return std::nullopt; }

 protected:
  ~Doing() = default;
};

// How long a loop has gone without success.
struct Idle {
  unsigned rounds = 0;
  Deadline::Clock::time_point looked_around{};
};

// Any thread.
class SharedWait {
 public:
  explicit SharedWait(const SharedGroupSpec& spec);

  // Returns when `flag`, which rank `peer` advances, has reached `count`.
  void until(Flag& flag, std::uint32_t count, int peer, const Doing& doing, Deadline deadline) {
    if (!flag.reached(count)) slowly(flag, count, peer, doing, deadline);
  }
  // For waits on several things at once: call it in a loop that tries them, and set idle.rounds to
  // 0 after a success. The longer there was none, the more of the core is given away; in the end it
  // sleeps up to a millisecond on `flag`. Throws like until().
  void pause(Idle& idle, Flag& flag, std::uint32_t count, int peer, const Doing& doing,
             Deadline deadline);

  // Whether waiting for something of `peer` would fail at once. Asks the system whether it lives.
  bool is_hopeless(int peer) const;

  void rethrow_if_spent() const { spent_.rethrow_if_set(); }
  // Marks in the region why this rank goes, wakes everybody, throws `error`, now and from then on.
  template <typename E>
  [[noreturn]] void fail(Ending ending, int blamed, const E& error) {
    if (spent_.set(std::make_exception_ptr(error))) leave(ending, blamed, error.what());
    throw error;
  }
  // For memory that `peer` lent: throws as until() would when it has ended its call by failing, and
  // what was read there may be anything.
  void require_not_ended(int peer, const Doing& doing, Deadline deadline) {
    if (const Ending ending = ending_of(peer); ending != Ending::none) {
      fail_because(peer, ending, doing, deadline);
    }
  }
  // The same without throwing.
  void abort(const Place& place);
  // Marks that this rank has gone, unless it said why before; `reason` in words.
  void leave(Ending ending, int blamed, std::string_view reason);

 private:
  void slowly(Flag& flag, std::uint32_t count, int peer, const Doing& doing, Deadline deadline);
  // Throws when waiting for `peer` has no hope, unless the flag has come meanwhile.
  void give_up_if_hopeless(const Flag& flag, std::uint32_t count, int peer, const Doing& doing,
                           Deadline deadline);
  [[noreturn]] void fail_because(int peer, Ending ending, const Doing& doing, Deadline deadline);
  // For whom the others have to wait is told to them through the region.
  void tell_whom_it_awaits(const std::vector<int>& ranks);
  std::optional<RankSet> awaited_by(int rank) const;
  // The rank whose end makes waiting for `peer` hopeless, preferably one that had a reason; -1:
  // none.
  int rank_that_ended(int peer) const;
  Ending ending_of(int rank) const {
    return static_cast<Ending>(spec_.region->state(rank).ending.load(std::memory_order_acquire));
  }
  bool was_aborted() const { return aborted_.load(std::memory_order_acquire); }

  const SharedGroupSpec& spec_;
  std::atomic<bool> aborted_{false};
  Yielding yielding_;
  Spent spent_;
};

}  // namespace shoal

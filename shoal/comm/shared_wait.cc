#include "shoal/comm/shared_wait.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

namespace shoal {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLookAround{100};  // how often a sleeper asks whether its peers live

}  // namespace

SharedWait::SharedWait(const SharedGroupSpec& spec) : spec_(spec) {}

void SharedWait::slowly(Flag& flag, std::uint32_t count, int peer, const Doing& doing,
                        Deadline deadline) {
  const auto start = Deadline::Clock::now();
  const auto spun = start + spec_.patience.spin;
  const auto yielded = spun + spec_.patience.yield;
  for (int poll = 0; poll < 20; ++poll) {
    pause_core();
    if (flag.reached(count)) return;
  }
  while (Deadline::Clock::now() < spun && !was_aborted()) {
    for (int poll = 0; poll < 32; ++poll) {
      pause_core();
      if (flag.reached(count)) return;
    }
  }
  while (Deadline::Clock::now() < yielded && !was_aborted()) {
    sched_yield();
    if (flag.reached(count)) return;
  }
  while (!flag.reached(count)) {
    give_up_if_hopeless(flag, count, peer, doing, deadline);
    flag.sleep(count, std::clamp(deadline.left(), milliseconds(1), kLookAround));
  }
}

void SharedWait::pause(unsigned idle, Flag& flag, std::uint32_t count, int peer, const Doing& doing,
                       Deadline deadline) {
  const bool patient = spec_.patience.spin.count() != 0;
  if (idle < (patient ? 1000U : 20U)) {
    pause_core();
  } else if (idle < 1200U) {
    sched_yield();
  } else {
    // The system calls behind a thorough look are worth one in a hundred rounds of a millisecond.
    if (idle % 100 == 0 || was_aborted() || deadline.passed()) {
      give_up_if_hopeless(flag, count, peer, doing, deadline);
    }
    flag.sleep(count, milliseconds(1));
  }
}

bool SharedWait::is_hopeless(int peer) const {
  const Ending ending = ending_of(peer);
  if (was_aborted() || (ending != Ending::none && ending != Ending::left)) return true;
  const std::vector<int> dead = spec_.dead();
  return std::find(dead.begin(), dead.end(), peer) != dead.end() && ending != Ending::left;
}

void SharedWait::give_up_if_hopeless(const Flag& flag, std::uint32_t count, int peer,
                                     const Doing& doing, Deadline deadline) {
  if (was_aborted()) spent_.rethrow_if_set();
  // What a rank published before it went still counts: look at the flag after the reason.
  const Ending ending = ending_of(peer);
  if (ending != Ending::none) {
    if (flag.reached(count)) return;
    fail_because(peer, ending, doing, deadline);
  }
  for (const int rank : spec_.dead()) {
    const Ending last = ending_of(rank);
    // A process may end normally after its part was done.
    if (last == Ending::left && rank != peer) continue;
    if (flag.reached(count)) return;
    if (last != Ending::none) fail_because(rank, last, doing, deadline);
    fail(Ending::peer_lost, rank, peer_gone(doing.place(), rank, "has died"));
  }
  if (deadline.passed()) {
    std::vector<int> absent = doing.absent();
    if (flag.reached(count)) return;
    if (absent.empty()) absent = {peer};
    std::vector<int> present;
    for (int rank = 0; rank < spec_.region->shape().size; ++rank) {
      if (std::find(absent.begin(), absent.end(), rank) == absent.end()) present.push_back(rank);
    }
    fail(Ending::timed_out, absent.front(),
         not_joined(doing.place(), absent, present, deadline.waited()));
  }
}

void SharedWait::fail_because(int peer, Ending ending, const Doing& doing, Deadline deadline) {
  const int blamed = spec_.region->state(peer).blamed.load(std::memory_order_acquire);
  const Place place = doing.place();
  switch (ending) {
    case Ending::none:
    case Ending::left:
      fail(Ending::peer_lost, peer, peer_gone(place, peer, "has left the group"));
    case Ending::cancelled:
      fail(Ending::peer_lost, peer, peer_gone(place, peer, "has aborted the group"));
    case Ending::peer_lost:
      if (blamed < 0 || blamed == spec_.rank) break;
      fail(Ending::peer_lost, blamed,
           peer_gone(place, blamed, fmt::format("was lost (rank {} found out)", peer)));
    case Ending::timed_out: {
      if (blamed < 0 || blamed == spec_.rank) break;
      TimedOut error = not_joined(place, {blamed}, {peer}, deadline.waited());
      fail(Ending::timed_out, blamed, error);
    }
    case Ending::mismatch:
      // Handed on as what it is, or a third rank would hear of a loss.
      fail(Ending::mismatch, peer,
           peer_gone(place, peer, "has left the group because calls did not fit together"));
  }
  fail(Ending::peer_lost, peer,
       peer_gone(place, peer, "has left the group, having given this rank up,"));
}

void SharedWait::abort(const Place& place) {
  spent_.set(std::make_exception_ptr(aborted(place)));
  aborted_.store(true, std::memory_order_release);
  leave(Ending::cancelled, spec_.rank);
}

void SharedWait::leave(Ending ending, int blamed) {
  RankState& own = spec_.region->state(spec_.rank);
  std::int32_t nobody = -1;
  own.blamed.compare_exchange_strong(nobody, blamed, std::memory_order_acq_rel);
  std::uint32_t none = static_cast<std::uint32_t>(Ending::none);
  own.ending.compare_exchange_strong(none, static_cast<std::uint32_t>(ending),
                                     std::memory_order_acq_rel);
  if (ending == Ending::left) return;  // nobody has to hurry because of that
  const int size = spec_.region->shape().size;
  for (int rank = 0; rank < size; ++rank) {
    RankState& state = spec_.region->state(rank);
    for (const StepLine& line : state.steps) line.arrived.wake();
    state.done.wake();
  }
  for (int index = 0; index < spec_.region->shape().channels(); ++index) {
    spec_.region->channel(index).written.wake();
    spec_.region->channel(index).read.wake();
  }
}

}  // namespace shoal

#include "shoal/comm/shared_wait.h"

#include <fmt/format.h>

#include <algorithm>

namespace shoal {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLookAround{100};  // how often a sleeper asks whether its peers live
// A rank that has not looked around for so long does not wait any more, or has stopped.
constexpr milliseconds kStillWaits{450};

std::int64_t clock_ms() {
  return std::chrono::duration_cast<milliseconds>(Deadline::Clock::now().time_since_epoch())
      .count();
}

}  // namespace

SharedWait::SharedWait(const SharedGroupSpec& spec) : spec_(spec) {}

void SharedWait::slowly(Flag& flag, std::uint32_t count, int peer, const Doing& doing,
                        Deadline deadline) {
  const auto start = Deadline::Clock::now();
  const auto spun = start + spec_.patience.spin;
  const auto yielded = spun + spec_.patience.yield;
  // Who shares its core gives it away at once: polling delays whom it waits for.
  for (int poll = 0; poll < 20 && spec_.patience.spins(); ++poll) {
    pause_core();
    if (flag.reached(count)) return;
  }
  while (Deadline::Clock::now() < spun && !was_aborted()) {
    for (int poll = 0; poll < 32; ++poll) {
      pause_core();
      if (flag.reached(count)) return;
    }
  }
  auto now = Deadline::Clock::now();
  while (now < yielded && yielding_.pays(now) && !was_aborted()) {
    now = yielding_.yield(now);
    if (flag.reached(count)) return;
  }
  while (!flag.reached(count)) {
    give_up_if_hopeless(flag, count, peer, doing, deadline);
    flag.sleep(count, std::clamp(deadline.left(), milliseconds(1), kLookAround));
  }
}

void SharedWait::pause(Idle& idle, Flag& flag, std::uint32_t count, int peer, const Doing& doing,
                       Deadline deadline) {
  const bool patient = spec_.patience.spins();
  const unsigned round = idle.rounds++;
  if (round < (patient ? 1000U : 20U)) return pause_core();
  const auto now = Deadline::Clock::now();
  if (round < 1200U && yielding_.pays(now)) {
    yielding_.yield(now);
  } else {
    // By the clock: on a machine with too few cores a sleep of a millisecond lasts ten.
    if (now - idle.looked_around >= kLookAround || was_aborted() || deadline.passed()) {
      idle.looked_around = now;
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
  if (const int gone = rank_that_ended(peer); gone >= 0) {
    if (flag.reached(count)) return;
    fail_because(gone, ending_of(gone), doing, deadline);
  }
  if (const auto difference = doing.difference()) fail(Ending::mismatch, spec_.rank, *difference);
  for (const int rank : spec_.dead()) {
    const Ending last = ending_of(rank);
    // A process may end normally after its part was done.
    if (last == Ending::left && rank != peer) continue;
    if (flag.reached(count)) return;
    if (last != Ending::none) fail_because(rank, last, doing, deadline);
    fail(Ending::peer_lost, rank, peer_gone(doing.place(), rank, "has died"));
  }
  std::vector<int> awaited = doing.absent();
  if (awaited.empty()) awaited = {peer};
  tell_whom_it_awaits(awaited);
  if (deadline.passed()) {
    const std::vector<int> absent =
        ranks_that_hold_up(awaited, spec_.rank, [this](int rank) { return awaited_by(rank); });
    if (flag.reached(count)) return;
    std::vector<int> present;
    for (int rank = 0; rank < spec_.region->shape().size; ++rank) {
      if (std::find(absent.begin(), absent.end(), rank) == absent.end()) present.push_back(rank);
    }
    fail(Ending::timed_out, absent.front(),
         not_joined(doing.place(), absent, present, deadline.waited()));
  }
}

void SharedWait::tell_whom_it_awaits(const std::vector<int>& ranks) {
  RankState& own = spec_.region->state(spec_.rank);
  const RankSet set = RankSet::of(ranks);
  own.awaited[0].store(set.words[0], std::memory_order_relaxed);
  own.awaited[1].store(set.words[1], std::memory_order_relaxed);
  own.looked_around_ms.store(clock_ms(), std::memory_order_release);
}

std::optional<RankSet> SharedWait::awaited_by(int rank) const {
  const RankState& state = spec_.region->state(rank);
  const std::int64_t looked = state.looked_around_ms.load(std::memory_order_acquire);
  if (looked == 0 || clock_ms() - looked > kStillWaits.count()) return std::nullopt;
  return RankSet{{state.awaited[0].load(std::memory_order_relaxed),
                  state.awaited[1].load(std::memory_order_relaxed)}};
}

int SharedWait::rank_that_ended(int peer) const {
  for (int rank = 0; rank < spec_.region->shape().size; ++rank) {
    if (rank == spec_.rank) continue;
    const Ending ending = ending_of(rank);
    if (ending != Ending::none && ending != Ending::left) return rank;
  }
  return ending_of(peer) == Ending::left ? peer : -1;
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
    case Ending::mismatch: {
      // Handed on in the words of the rank that saw it.
      const RankState& state = spec_.region->state(peer);
      fail(Ending::mismatch, blamed, InvalidInput(std::string(state.reason, state.reason_bytes)));
    }
  }
  fail(Ending::peer_lost, peer,
       peer_gone(place, peer, "has left the group, having given this rank up,"));
}

void SharedWait::abort(const Place& place) {
  const bool first = spent_.set(std::make_exception_ptr(aborted(place)));
  aborted_.store(true, std::memory_order_release);
  if (first) leave(Ending::cancelled, spec_.rank, {});
}

// Called once by the first that fails, and by the destructor when no other call is under way.
void SharedWait::leave(Ending ending, int blamed, std::string_view reason) {
  RankState& own = spec_.region->state(spec_.rank);
  if (ending_of(spec_.rank) != Ending::none) return;
  own.reason_bytes = static_cast<std::uint32_t>(reason.copy(own.reason, RankState::kReasonBytes));
  own.blamed.store(blamed, std::memory_order_relaxed);
  own.ending.store(static_cast<std::uint32_t>(ending), std::memory_order_release);
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

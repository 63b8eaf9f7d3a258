#include "shoal/comm/frame_standing.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>

namespace shoal {

using std::chrono::milliseconds;

namespace {
constexpr milliseconds kLookAround{250};  // how often a wait asks whether its peers live
}  // namespace

void PeerWaits::take(const FrameHeader& header) {
  ranks_ = RankSet{{header.number, header.call}};
  until_ = Deadline::Clock::now() + milliseconds(50) + milliseconds(header.index) * 5 / 2;
}

std::optional<RankSet> PeerWaits::ranks() const {
  if (Deadline::Clock::now() > until_) return std::nullopt;
  return ranks_;
}

bool TellsOfWaiting::look_is_due() {
  const auto now = Deadline::Clock::now();
  const bool first = looked_ == Deadline::Clock::time_point{};
  if (!first && now - looked_ < kLookAround) return false;
  looked_ = now;
  return !first;
}

bool TellsOfWaiting::is_due() {
  const auto now = Deadline::Clock::now();
  if (period_.count() == 0) {
    // Often enough that the others know before the deadline, seldom enough to cost nothing.
    period_ = std::clamp((deadline_.waited() + deadline_.left()) / 8, milliseconds(50),
                         milliseconds(2000));
    next_ = now + period_;
    return false;
  }
  if (now < next_) return false;
  next_ = now + period_;
  return true;
}

FrameHeader TellsOfWaiting::frame(const std::vector<int>& awaited) const {
  const RankSet set = RankSet::of(awaited);
  FrameHeader header;
  header.kind = FrameKind::waiting;
  header.number = set.words[0];
  header.call = set.words[1];
  header.index = static_cast<std::uint32_t>(period_.count());
  return header;
}

FrameStanding::FrameStanding(const FrameGroupSpec& spec)
    : spec_(spec), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

std::optional<Stretches> Farewell::place(const FrameHeader& from) {
  if (from.bytes > kMostBytes) return std::nullopt;
  header = from;
  words.resize(from.bytes);
  return words.empty() ? Stretches{} : Stretches{{words.data(), words.size()}};
}

void FrameStanding::spend(std::exception_ptr error, Ending ending, int blamed,
                          std::string_view words) {
  const std::lock_guard lock(mutex_);
  if (spent_.is_set()) return;
  ending_ = ending;
  blamed_ = blamed;
  if (ending == Ending::mismatch) words_ = words.substr(0, Farewell::kMostBytes);
  spent_.set(std::move(error));
  eventfd_write(wake_.fd(), 1);
  if (spec_.wires.mpi) spec_.wires.mpi->process->forget_the_end();
}

void FrameStanding::queue_farewell(FrameSender& out) const {
  const std::lock_guard lock(mutex_);
  FrameHeader header;
  header.kind = FrameKind::leaving;
  header.call = static_cast<std::uint64_t>(ending_);
  header.number = static_cast<std::uint64_t>(blamed_) + 1;
  header.bytes = static_cast<std::uint32_t>(words_.size());
  Stretches payload;
  if (!words_.empty()) payload.push_back({const_cast<char*>(words_.data()), words_.size()});
  out.queue(header, std::move(payload));
}

// A frame that has begun must be finished first, or the farewell would be taken for its payload.
void FrameStanding::say_farewell(int fd, FrameSender& out, Deadline soon) const {
  out.drop_unbegun();
  queue_farewell(out);
  while (!out.empty() && out.flush() != Flow::gone && !out.empty()) {
    if (!out.await_room(soon)) break;
  }
  if (fd >= 0) shutdown(fd, SHUT_WR);
}

Deadline FrameStanding::farewell_deadline() const {
  return Deadline::after(std::chrono::milliseconds(is_spent() ? 300 : 10000));
}

void FrameStanding::look_around(const Place& place, const Others& others, Deadline deadline) {
  rethrow_if_spent();
  for (const int rank : spec_.dead()) {
    // A process may end once its part is done, while others still wait for each other.
    if (others.left_in_peace(rank)) continue;
    fail(Ending::peer_lost, rank, peer_gone(place, rank, "has died"));
  }
  if (!deadline.passed()) return;
  const std::vector<int> ranks = ranks_that_hold_up(others.absent(), spec_.rank, others.waits_for);
  std::vector<int> present;
  for (int rank = 0; rank < spec_.size; ++rank) {
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) present.push_back(rank);
  }
  fail(Ending::timed_out, ranks.empty() ? -1 : ranks.front(),
       not_joined(place, ranks, present, deadline.waited()));
}

void FrameStanding::fail_connection(const Place& place, int peer, std::string_view how) {
  fail(Ending::peer_lost, peer, peer_gone(place, peer, std::string(how)));
}

void FrameStanding::fail_without(const Place& place, int peer, const Farewell& farewell) {
  const int blamed = static_cast<int>(farewell.header.number) - 1;
  const bool names_another = blamed >= 0 && blamed < spec_.size && blamed != spec_.rank;
  switch (static_cast<Ending>(farewell.header.call)) {
    case Ending::none:
    case Ending::left:
      fail_connection(place, peer, "has left the group");
    case Ending::cancelled:
      fail_connection(place, peer, "has aborted the group");
    case Ending::mismatch:
      // Handed on in the words of the rank that saw it.
      fail(Ending::mismatch, blamed, InvalidInput(farewell.words));
    case Ending::peer_lost:
      if (!names_another) break;
      fail(Ending::peer_lost, blamed,
           peer_gone(place, blamed, fmt::format("was lost (rank {} found out)", peer)));
    case Ending::timed_out:
      if (!names_another) break;
      fail(Ending::timed_out, blamed,
           not_joined(place, {blamed}, {peer}, std::chrono::milliseconds(0)));
  }
  fail_connection(place, peer, "has left the group, having given this rank up,");
}

bool FrameStanding::sleep(std::vector<pollfd>& entries, Deadline deadline,
                          const TellsOfWaiting& tells, Naps& naps) const {
  const milliseconds longest = std::min({deadline.left(), kLookAround, tells.period()});
  if (has_descriptors()) {
    return poll(entries.data(), entries.size(), static_cast<int>(longest.count())) <= 0;
  }
  const auto nap = std::min<std::chrono::nanoseconds>(naps.next(), longest);
  const timespec time{0, static_cast<long>(nap.count())};
  ppoll(entries.data(), entries.size(), &time, nullptr);
  return false;
}

bool SocketPatience::try_again() {
  const auto now = Deadline::Clock::now();
  if (!waiting_) {
    waiting_ = true;
    since_ = now;
  }
  const auto waited = now - since_;
  if (waited < patience_.spin) {
    pause_core();
    return true;
  }
  // Yielding costs as much as a turn over the sockets: do it only while cores are to spare.
  if (patience_.spins() && waited < patience_.spin + patience_.yield) {
    sched_yield();
    return true;
  }
  return false;
}

}  // namespace shoal

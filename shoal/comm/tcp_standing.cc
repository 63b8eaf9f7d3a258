#include "shoal/comm/tcp_standing.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>

namespace shoal {

TcpStanding::TcpStanding(const TcpGroupSpec& spec)
    : spec_(spec), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void TcpStanding::spend(std::exception_ptr error, Ending ending, int blamed) {
  if (!spent_.set(std::move(error))) return;
  blamed_.store(blamed, std::memory_order_release);
  ending_.store(static_cast<std::uint32_t>(ending), std::memory_order_release);
  eventfd_write(wake_.fd(), 1);
}

FrameHeader TcpStanding::farewell() const {
  FrameHeader header;
  header.kind = FrameKind::leaving;
  header.call = ending_.load(std::memory_order_acquire);
  header.number = static_cast<std::uint64_t>(blamed_.load(std::memory_order_acquire) + 1);
  return header;
}

Deadline TcpStanding::farewell_deadline() const {
  const bool in_peace = farewell().call == static_cast<std::uint64_t>(Ending::left);
  return Deadline::after(std::chrono::milliseconds(in_peace ? 10000 : 300));
}

void TcpStanding::look_around(const Place& place, const Others& others, Deadline deadline) {
  rethrow_if_spent();
  for (const int rank : spec_.dead()) {
    // A process may end once its part is done, while others still wait for each other.
    if (others.left_in_peace(rank)) continue;
    fail(Ending::peer_lost, rank, peer_gone(place, rank, "has died"));
  }
  if (!deadline.passed()) return;
  const std::vector<int> ranks = others.absent();
  std::vector<int> present;
  for (int rank = 0; rank < spec_.size; ++rank) {
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) present.push_back(rank);
  }
  fail(Ending::timed_out, ranks.empty() ? -1 : ranks.front(),
       not_joined(place, ranks, present, deadline.waited()));
}

void TcpStanding::fail_connection(const Place& place, int peer, std::string_view how) {
  fail(Ending::peer_lost, peer, peer_gone(place, peer, std::string(how)));
}

void TcpStanding::fail_without(const Place& place, int peer, const FrameHeader& farewell) {
  const int blamed = static_cast<int>(farewell.number) - 1;
  const bool names_another = blamed >= 0 && blamed < spec_.size && blamed != spec_.rank;
  switch (static_cast<Ending>(farewell.call)) {
    case Ending::none:
    case Ending::left:
      fail_connection(place, peer, "has left the group");
    case Ending::cancelled:
      fail_connection(place, peer, "has aborted the group");
    case Ending::mismatch:
      // Handed on as what it is, or a third rank would hear of a loss.
      fail(Ending::mismatch, peer,
           peer_gone(place, peer, "has left the group because calls did not fit together"));
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

int TcpStanding::longest_sleep(Deadline deadline) const {
  constexpr std::chrono::milliseconds kLookAround{250};
  return static_cast<int>(std::min(deadline.left(), kLookAround).count());
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
  if (patience_.spin.count() != 0 && waited < patience_.spin + patience_.yield) {
    sched_yield();
    return true;
  }
  return false;
}

}  // namespace shoal

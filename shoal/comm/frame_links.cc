#include "shoal/comm/frame_links.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "shoal/comm/tcp_socket.h"

namespace shoal {

FrameLinks::FrameLinks(FrameStanding& standing, FrameMessages& messages)
    : standing_(standing),
      messages_(messages),
      rank_(standing.spec().rank),
      patience_(standing.spec().patience) {
  TearBytes tear = standing.spec().tear;
  const FrameGroupSpec& spec = standing.spec();
  for (int peer = 0; peer < spec.size; ++peer) {
    links_.push_back({.fd = spec.wires.socket(Traffic::collectives, peer).fd(),
                      .out = sender_to(spec.wires, Traffic::collectives, rank_, peer, tear),
                      .in = receiver_from(spec.wires, Traffic::collectives, rank_, peer, tear),
                      .leaves_host = spec.layout.leaves_host(rank_, peer)});
    if (tear.seed != 0) ++tear.seed;
  }
}

FrameHeader FrameLinks::header(const FrameRound& round, FrameKind kind, std::uint32_t index,
                               std::size_t bytes) const {
  FrameHeader header;
  header.kind = kind;
  header.bytes = static_cast<std::uint32_t>(bytes);
  header.index = index;
  header.number = round.number;
  header.call = round.packed;
  return header;
}

void FrameLinks::queue(int to, const FrameHeader& header, Stretches payload) {
  links_[to].out->queue(header, std::move(payload));
  bytes_.fetch_add(header.bytes, std::memory_order_relaxed);
  if (links_[to].leaves_host) {
    bytes_between_hosts_.fetch_add(header.bytes, std::memory_order_relaxed);
  }
}

Place FrameLinks::place_of(const FrameRound& round) const {
  return {std::string(name_of(round.call.operation)), round.number, standing_.spec().name};
}

void FrameLinks::run(FrameExchange& exchange, FrameRound& round) {
  standing_.rethrow_if_spent();
  try {
    drive(exchange, round);
  } catch (const Error&) {
    say_farewell();
    throw;
  }
}

void FrameLinks::drive(FrameExchange& exchange, FrameRound& round) {
  patience_.reset();
  naps_.reset();
  TellsOfWaiting tells(round.deadline);
  for (;;) {
    bool moved = false;
    bool busy = false;
    int gave_up = -1;  // a peer that will take no further part in this group
    for (int peer = 0; peer < static_cast<int>(links_.size()); ++peer) {
      if (peer == rank_) continue;
      Link& link = links_[peer];
      // A peer that has closed may still have sent what we need: reading decides.
      if (!link.out->empty()) moved |= link.out->flush() == Flow::moved;
      moved |= take_in(peer, exchange, round);
      const bool needed = exchange.awaits(peer) || !link.out->is_handed_over();
      if (!link.open && needed) standing_.fail_without(place_of(round), peer, link.farewell);
      if (!link.open && !link.farewell.in_peace()) gave_up = peer;
      busy |= needed || !link.out->empty();
    }
    // Its reason will keep the others away too. But what has come already may be all that this call
    // needs.
    if (busy && !moved && gave_up >= 0) {
      standing_.fail_without(place_of(round), gave_up, links_[gave_up].farewell);
    }
    if (!busy) {
      // What arrived last may have queued something for a peer that was looked at before.
      const bool quiet = std::all_of(links_.begin(), links_.end(), [](const Link& link) {
        return !link.out || link.out->empty();
      });
      if (quiet) {
        last_ = {.call = round.call, .packed = round.packed, .number = round.number};
        return;
      }
    }
    if (moved) {
      patience_.reset();
      naps_.reset();
    } else if (!patience_.try_again()) {
      wait(exchange, round, tells);
    }
  }
}

// Reads until nothing more is there; whether anything came.
bool FrameLinks::take_in(int peer, FrameExchange& exchange, FrameRound& round) {
  Link& link = links_[peer];
  bool moved = false;
  link.held = false;
  while (link.open && !link.held) {
    switch (link.in->read()) {
      case FrameReceiver::Event::none:
        return moved;
      case FrameReceiver::Event::header:
        moved |= take_header(peer, exchange, round);
        break;
      case FrameReceiver::Event::complete: {
        const FrameHeader header = link.in->header();
        if (header.kind == FrameKind::leaving) {
          link.open = false;
          return true;
        }
        link.in->next();
        exchange.arrived(peer, header);
        moved = true;
        break;
      }
      case FrameReceiver::Event::gone:
        standing_.fail_connection(place_of(round), peer,
                                  "has died: it closed its connection without a word");
      case FrameReceiver::Event::damaged:
        standing_.fail_connection(place_of(round), peer,
                                  "sent bytes that are damaged (their checksum is wrong)");
    }
  }
  return moved;
}

bool FrameLinks::take_header(int peer, FrameExchange& exchange, FrameRound& round) {
  Link& link = links_[peer];
  const FrameHeader& header = link.in->header();
  if (header.kind == FrameKind::leaving) {
    auto words = link.farewell.place(header);
    if (!words) standing_.fail_connection(place_of(round), peer, "sent an impossible farewell");
    link.in->place(std::move(*words));
    return true;
  }
  if (header.number > round.number) {
    link.held = true;
    return false;
  }
  compare_calls(peer, header, round);
  Stretches where;
  if (header.number < round.number || header.kind == FrameKind::message) {
    standing_.fail_connection(place_of(round), peer, "sent a frame that belongs to no call");
  }
  if (!exchange.place(peer, header, where)) {
    link.held = true;
    return false;
  }
  std::size_t room = 0;
  for (const iovec& stretch : where) room += stretch.iov_len;
  if (room != header.bytes) {
    standing_.fail_connection(place_of(round), peer, "sent a frame of an impossible size");
  }
  link.in->place(std::move(where));
  return true;
}

void FrameLinks::compare_calls(int peer, const FrameHeader& header, FrameRound& round) {
  if (header.number == last_.number && header.number < round.number) {
    std::vector<std::uint64_t> seen(links_.size());
    seen[peer] = header.call;
    seen[rank_] = last_.packed;
    if (seen[peer] != seen[rank_]) {
      standing_.fail(Ending::mismatch, rank_, calls_differ(place_of(last_), seen));
    }
  }
  round.seen[peer] = header.call;
  if (header.call == round.packed) return;
  round.seen[rank_] = round.packed;
  standing_.fail(Ending::mismatch, rank_, calls_differ(place_of(round), round.seen));
}

std::vector<int> FrameLinks::absent(const FrameExchange& exchange, const FrameRound& round) const {
  std::vector<int> silent;
  std::vector<int> awaited;
  for (int peer = 0; peer < static_cast<int>(links_.size()); ++peer) {
    if (peer == rank_ || (!exchange.awaits(peer) && links_[peer].out->empty())) continue;
    awaited.push_back(peer);
    if (round.seen[peer] == 0) silent.push_back(peer);
  }
  return silent.empty() ? awaited : silent;
}

// For what to poll before it sleeps; false when there is something to do already.
bool FrameLinks::fill_entries() {
  entries_.clear();
  for (Link& link : links_) {
    entries_.push_back({-1, 0, 0});  // the system passes over it
    if (!link.out) continue;
    short events = 0;
    if (link.open && !link.held) {
      events = link.in->events_to_await();
      if (events == 0) return false;
    }
    if (!link.out->empty()) {
      const short more = link.out->events_to_await();
      if (more == 0) return false;
      events = static_cast<short>(events | more);
    }
    if (events != 0) entries_.back() = {link.fd, events, 0};
  }
  entries_.push_back({standing_.wake_fd(), POLLIN, 0});
  return true;
}

void FrameLinks::wait(const FrameExchange& exchange, const FrameRound& round,
                      TellsOfWaiting& tells) {
  if (tells.is_due()) messages_.tell_of_waiting(tells.frame(absent(exchange, round)));
  if (!fill_entries()) return;
  const bool slept_out = standing_.sleep(entries_, round.deadline, tells, naps_);
  for (std::size_t peer = 0; peer < links_.size(); ++peer) {
    if (entries_[peer].revents != 0) links_[peer].in->look_at_descriptor();
  }
  if (slept_out || entries_.back().revents != 0 || round.deadline.passed() || tells.look_is_due()) {
    const auto left = [&](int peer) {
      const Link& link = links_[peer];
      return !link.open && link.farewell.in_peace();
    };
    standing_.look_around(place_of(round),
                          {[&] { return absent(exchange, round); }, left,
                           [&](int peer) { return messages_.waits_of(peer); }},
                          round.deadline);
  }
}

void FrameLinks::say_farewell() {
  if (farewell_said_) return;
  farewell_said_ = true;
  const Deadline soon = standing_.farewell_deadline();
  for (Link& link : links_) {
    if (link.out) standing_.say_farewell(link.fd, *link.out, soon);
  }
  for (const Link& link : links_) {
    if (link.fd >= 0) await_taken(link.fd, soon);
  }
}

}  // namespace shoal

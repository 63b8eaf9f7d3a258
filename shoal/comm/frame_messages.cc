#include "shoal/comm/frame_messages.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "shoal/comm/checks.h"
#include "shoal/comm/tcp_socket.h"

namespace shoal {
namespace {

constexpr std::size_t kFrameBytes = std::size_t{256} << 10;

}  // namespace

class FrameMessages::Message {
 public:
  Message(const FrameGroupSpec& spec, bool sends, int peer, std::uint64_t number,
          std::uint64_t call, Deadline deadline)
      : peer(peer),
        number(number),
        call(call),
        deadline(deadline),
        tells(deadline),
        spec_(spec),
        sends_(sends) {}
  Place place() const {
    return {fmt::format("{} rank {}", sends_ ? "send to" : "receive from", peer), number,
            spec_.name};
  }
  // Whether this thread has the lock of what comes in from there.
  bool holds(int other) const { return !sends_ && other == peer; }
  // Likewise of what goes out.
  bool holds_outgoing(int other) const { return sends_ && other == peer; }
  bool sends() const { return sends_; }
  const int peer;
  const std::uint64_t number;
  const std::uint64_t call;
  const Deadline deadline;
  TellsOfWaiting tells;
  Naps naps;

 private:
  const FrameGroupSpec& spec_;
  const bool sends_;
};

FrameMessages::FrameMessages(FrameStanding& standing) : standing_(standing) {
  TearBytes tear = standing.spec().tear;
  const FrameGroupSpec& spec = standing.spec();
  for (int peer = 0; peer < spec.size; ++peer) {
    if (tear.seed != 0) tear.seed += 1000;
    const int fd = spec.wires.socket(Traffic::messages, peer).fd();
    incoming_.emplace_back(fd, receiver_from(spec.wires, Traffic::messages, spec.rank, peer, tear));
    outgoing_.emplace_back(fd, sender_to(spec.wires, Traffic::messages, spec.rank, peer, tear));
  }
}

void FrameMessages::send(ConstBuffer data, int to, Deadline deadline) {
  Outgoing& outgoing = outgoing_[to];
  const std::lock_guard lock(outgoing.mutex);
  Message message(standing_.spec(), true, to, ++outgoing.messages, MessageShape(data).packed(),
                  deadline);
  std::size_t at = 0;
  std::uint32_t index = 0;
  do {
    const std::size_t here = std::min(kFrameBytes, data.bytes() - at);
    FrameHeader header;
    header.kind = FrameKind::message;
    header.bytes = static_cast<std::uint32_t>(here);
    header.index = index++;
    header.number = message.number;
    header.call = message.call;
    Stretches payload;
    if (here != 0) payload.push_back({const_cast<std::byte*>(data.data) + at, here});
    outgoing.out->queue(header, std::move(payload));
    at += here;
  } while (at < data.bytes());
  while (!outgoing.out->empty()) {
    const Flow flow = outgoing.out->flush();
    if (outgoing.out->empty()) return;
    if (flow == Flow::moved) {
      message.naps.reset();
      continue;
    }
    keep_from_all(message);
    if (flow == Flow::gone) standing_.fail_connection(message.place(), to, "has died");
    wait(message);
  }
}

void FrameMessages::keep_from_all(const Message& message) {
  for (int peer = 0; peer < static_cast<int>(incoming_.size()); ++peer) {
    Incoming& incoming = incoming_[peer];
    if (!incoming.in || message.holds(peer)) continue;
    // Whoever holds the lock is receiving from there.
    const std::unique_lock lock(incoming.mutex, std::try_to_lock);
    if (!lock) continue;
    keep_what_is_there(incoming);
    if (!incoming.open && (incoming.died || !incoming.farewell.in_peace())) {
      fail_closed(incoming, peer, message.place());
    }
  }
}

bool FrameMessages::place_notice(Incoming& incoming) {
  const FrameHeader& header = incoming.in->header();
  if (header.kind == FrameKind::waiting && header.bytes == 0) {
    incoming.waits.take(header);
    incoming.in->place({});
    return true;
  }
  if (header.kind != FrameKind::leaving) return false;
  if (auto words = incoming.farewell.place(header)) {
    incoming.in->place(std::move(*words));
  } else {
    incoming.died = true;
    incoming.open = false;
  }
  return true;
}

bool FrameMessages::finish_notice(Incoming& incoming) {
  const FrameKind kind = incoming.in->header().kind;
  if (kind == FrameKind::leaving) {
    incoming.open = false;  // nothing follows
    return true;
  }
  incoming.in->next();
  return kind == FrameKind::waiting;
}

void FrameMessages::keep_what_is_there(Incoming& incoming) {
  bool looked = false;
  while (incoming.open) {
    switch (incoming.in->read()) {
      case FrameReceiver::Event::none:
        if (looked) return;
        incoming.in->look_at_descriptor();
        looked = true;
        break;
      case FrameReceiver::Event::header: {
        const FrameHeader& header = incoming.in->header();
        if (place_notice(incoming)) break;
        incoming.kept.push_back({header, std::vector<std::byte>(header.bytes)});
        incoming.last_is_under_way = true;
        incoming.in->place({{incoming.kept.back().payload.data(), header.bytes}});
        break;
      }
      case FrameReceiver::Event::complete:
        if (!finish_notice(incoming)) incoming.last_is_under_way = false;
        break;
      case FrameReceiver::Event::gone:
      case FrameReceiver::Event::damaged:
        incoming.died = true;
        incoming.open = false;
        return;
    }
  }
}

void FrameMessages::fail_closed(const Incoming& incoming, int peer, const Place& place) {
  if (incoming.died) {
    standing_.fail_connection(place, peer,
                              "has died: its connection ended without a word or was damaged");
  }
  standing_.fail_without(place, peer, incoming.farewell);
}

void FrameMessages::check_header(const FrameHeader& header, const Message& message,
                                 std::size_t bytes) {
  if (header.kind == FrameKind::message && header.number == message.number &&
      header.call == message.call && header.bytes == bytes) {
    return;
  }
  standing_.fail(Ending::mismatch, message.peer,
                 messages_differ(message.place(), message.peer, MessageShape::unpacked(header.call),
                                 standing_.spec().rank, MessageShape::unpacked(message.call)));
}

// The next frame of the message, from what was kept or from the connection.
void FrameMessages::read_frame(Incoming& incoming, std::byte* data, std::size_t bytes,
                               Message& message, FrameHeader& header) {
  bool direct = false;
  for (;;) {
    const bool kept_one =
        incoming.kept.size() > (incoming.last_is_under_way ? std::size_t{1} : std::size_t{0});
    if (!direct && kept_one) {
      header = incoming.kept.front().header;
      check_header(header, message, bytes);
      if (bytes != 0) std::memcpy(data, incoming.kept.front().payload.data(), bytes);
      incoming.kept.pop_front();
      return;
    }
    if (!incoming.open) fail_closed(incoming, message.peer, message.place());
    switch (incoming.in->read()) {
      case FrameReceiver::Event::none:
        wait(message);
        break;
      case FrameReceiver::Event::header:
        header = incoming.in->header();
        if (place_notice(incoming)) break;
        check_header(header, message, bytes);
        incoming.in->place(bytes == 0 ? Stretches{} : Stretches{{data, bytes}});
        direct = true;
        break;
      case FrameReceiver::Event::complete:
        if (finish_notice(incoming)) break;
        if (direct) return;
        incoming.last_is_under_way = false;
        break;
      case FrameReceiver::Event::gone:
      case FrameReceiver::Event::damaged:
        incoming.died = true;
        incoming.open = false;
        break;
    }
  }
}

void FrameMessages::receive(Buffer data, int from, Deadline deadline) {
  Incoming& incoming = incoming_[from];
  const std::lock_guard lock(incoming.mutex);
  Message message(standing_.spec(), false, from, ++incoming.messages, MessageShape(data).packed(),
                  deadline);
  std::size_t at = 0;
  do {
    const std::size_t here = std::min(kFrameBytes, data.bytes() - at);
    FrameHeader header;
    read_frame(incoming, data.data + at, here, message, header);
    message.naps.reset();
    at += here;
  } while (at < data.bytes());
}

bool FrameMessages::has_message(int from) {
  Incoming& incoming = incoming_[from];
  const std::unique_lock lock(incoming.mutex, std::try_to_lock);
  if (!lock) return false;
  keep_what_is_there(incoming);
  if (!incoming.kept.empty()) return true;
  return standing_.is_spent() ||
         (!incoming.open && (incoming.died || !incoming.farewell.in_peace()));
}

// Not to those to whom something is under way: their frames say more.
void FrameMessages::tell_others(const FrameHeader& header, const Message* own) {
  constexpr std::size_t kMostKept = 64;
  for (int peer = 0; peer < static_cast<int>(outgoing_.size()); ++peer) {
    Outgoing& outgoing = outgoing_[peer];
    if (!outgoing.out) continue;
    if (own == nullptr || !own->holds_outgoing(peer)) {
      const std::unique_lock lock(outgoing.mutex, std::try_to_lock);
      if (lock && !outgoing.farewell_said && outgoing.out->empty()) {
        outgoing.out->queue(header, {});
        outgoing.out->flush();
      }
    }
    // Regularly, or old news would look new.
    if (own == nullptr || !own->holds(peer)) {
      Incoming& incoming = incoming_[peer];
      const std::unique_lock lock(incoming.mutex, std::try_to_lock);
      if (lock && incoming.kept.size() < kMostKept) keep_what_is_there(incoming);
    }
  }
}

std::optional<RankSet> FrameMessages::waits_of(int rank) {
  Incoming& incoming = incoming_[rank];
  const std::unique_lock lock(incoming.mutex, std::try_to_lock);
  if (!lock) return std::nullopt;
  keep_what_is_there(incoming);
  return incoming.waits.ranks();
}

bool FrameMessages::watch_others(std::vector<pollfd>& entries, const Message& message) {
  bool gave_up = false;  // somebody, as was heard while another was awaited
  for (int peer = 0; peer < static_cast<int>(incoming_.size()); ++peer) {
    entries.push_back({-1, 0, 0});  // the system passes over it
    Incoming& incoming = incoming_[peer];
    if (!incoming.in || message.holds(peer)) continue;
    const std::unique_lock lock(incoming.mutex, std::try_to_lock);
    if (!lock) continue;
    if (!incoming.open) {
      gave_up |= incoming.died || !incoming.farewell.in_peace();
      continue;
    }
    const short events = message.sends() ? incoming.in->events_to_await() : POLLRDHUP;
    if (events == 0) {
      keep_what_is_there(incoming);
      return false;
    }
    entries.back() = {incoming.fd, events, 0};
  }
  if (gave_up) keep_from_all(message);
  return true;
}

void FrameMessages::look_at_descriptors(const std::vector<pollfd>& entries,
                                        const Message& message) {
  for (int peer = 0; peer < static_cast<int>(incoming_.size()); ++peer) {
    Incoming& incoming = incoming_[peer];
    if (!incoming.in) continue;
    if (message.holds(peer)) {
      incoming.in->look_at_descriptor();
    } else if (entries[peer].revents != 0 || peer == message.peer) {
      const std::unique_lock lock(incoming.mutex, std::try_to_lock);
      if (lock) incoming.in->look_at_descriptor();
    }
  }
}

// Sleeps until the connection is ready, somebody else has something to say, or it is time to look
// around.
void FrameMessages::wait(Message& message) {
  if (message.tells.is_due()) tell_others(message.tells.frame({message.peer}), &message);
  FrameSender& out = *outgoing_[message.peer].out;
  FrameReceiver& in = *incoming_[message.peer].in;
  SocketPatience patience(standing_.spec().patience);
  // Bells are for those who sleep: before that, a receiver looks by itself.
  while (!message.sends() && patience.try_again()) {
    if (in.can_go_on()) return;
  }
  std::vector<pollfd> entries;
  if (!watch_others(entries, message)) return;
  const short events = message.sends() ? out.events_to_await() : in.events_to_await();
  if (events == 0) return;
  entries.push_back({outgoing_[message.peer].fd, events, 0});
  entries.push_back({standing_.wake_fd(), POLLIN, 0});
  int ready = 0;
  bool slept_out = false;
  do {
    ready = poll(entries.data(), entries.size(), 0);
  } while (ready == 0 && message.sends() && standing_.has_descriptors() && patience.try_again());
  if (ready == 0) {
    slept_out = standing_.sleep(entries, message.deadline, message.tells, message.naps);
  }
  look_at_descriptors(entries, message);
  const bool someone_else = std::any_of(entries.begin(), entries.end(), [](const pollfd& entry) {
    return (entry.revents & POLLRDHUP) != 0;
  });
  const bool due = slept_out || message.tells.look_is_due();
  // At the deadline, what the others say about their own waiting counts; and where no descriptor
  // tells of an end, a farewell has to be read.
  const bool unseen = due && !standing_.has_descriptors();
  if (someone_else || unseen || message.deadline.passed()) keep_from_all(message);
  if (due || entries.back().revents != 0 || message.deadline.passed()) look_around(message);
}

void FrameMessages::look_around(Message& message) {
  const auto left = [&](int peer) {
    if (peer == message.peer) return true;  // its connection will tell
    Incoming& incoming = incoming_[peer];
    const std::unique_lock lock(incoming.mutex, std::try_to_lock);
    // Whoever holds the lock finds out by itself.
    return !lock || (!incoming.open && !incoming.died && incoming.farewell.in_peace());
  };
  const auto waits_for = [&](int peer) {
    return message.holds(peer) ? incoming_[peer].waits.ranks() : waits_of(peer);
  };
  const FrameStanding::Others others{[&] { return std::vector<int>{message.peer}; }, left,
                                     waits_for};
  standing_.look_around(message.place(), others, message.deadline);
}

void FrameMessages::say_farewell() {
  const Deadline soon = standing_.farewell_deadline();
  for (Outgoing& outgoing : outgoing_) {
    if (!outgoing.out) continue;
    const std::unique_lock lock(outgoing.mutex, std::try_to_lock);
    if (!lock || outgoing.farewell_said) continue;
    outgoing.farewell_said = true;
    standing_.say_farewell(outgoing.fd, *outgoing.out, soon);
  }
  for (const Outgoing& outgoing : outgoing_) {
    if (outgoing.fd >= 0) await_taken(outgoing.fd, soon);
  }
}

}  // namespace shoal

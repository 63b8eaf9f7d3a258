#include "shoal/comm/shared_messages.h"

#include <fmt/format.h>

#include <cstring>

#include "shoal/comm/checks.h"

namespace shoal {
namespace {

constexpr std::uint32_t kMessage = 0x4d53474d;

struct Header {
  std::uint32_t magic = kMessage;
  std::uint32_t type = 0;
  std::uint64_t elements = 0;
};

}  // namespace

class SharedMessages::Message final : public Doing {
 public:
  Message(const SharedGroupSpec& spec, bool sends, int peer, std::uint64_t number)
      : peer(peer), spec_(spec), sends_(sends), number_(number) {}
  Place place() const override {
    return {fmt::format("{} rank {}", sends_ ? "send to" : "receive from", peer), number_,
            spec_.name};
  }
  std::vector<int> absent() const override { return {peer}; }
  const int peer;

 private:
  const SharedGroupSpec& spec_;
  const bool sends_;
  const std::uint64_t number_;
};

SharedMessages::SharedMessages(const SharedGroupSpec& spec, SharedWait& wait)
    : spec_(spec), wait_(wait) {
  Region& region = *spec.region;
  const int size = region.shape().size;
  for (int peer = 0; peer < size; ++peer) {
    const int in = region.shape().message_channel(peer, spec.rank);
    const int out = region.shape().message_channel(spec.rank, peer);
    incoming_.emplace_back(ChannelReader(region, in));
    outgoing_.emplace_back(ChannelWriter(region, out));
  }
}

std::size_t SharedMessages::Incoming::read_some(std::byte* data, std::size_t bytes) {
  if (kept_begin == kept.size()) return ring.read_some(data, bytes);
  const std::size_t here = std::min(bytes, kept.size() - kept_begin);
  std::memcpy(data, kept.data() + kept_begin, here);
  kept_begin += channel_units(here) * kChannelUnit;
  if (kept_begin == kept.size()) {
    kept = {};
    kept_begin = 0;
  }
  return here;
}

void SharedMessages::Incoming::keep_what_is_there() {
  while (const std::size_t bytes = ring.available()) {
    const std::size_t before = kept.size();
    kept.resize(before + std::min(bytes, kChannelPiece));
    ring.read_some(kept.data() + before, kept.size() - before);
  }
}

void SharedMessages::write(Outgoing& outgoing, const std::byte* data, std::size_t bytes,
                           const Message& message, Deadline deadline) {
  Idle idle;
  while (bytes != 0) {
    const std::size_t written = outgoing.ring.write_some(data, bytes);
    data += written;
    bytes -= written;
    if (written != 0) {
      idle.rounds = 0;
      continue;
    }
    for (Incoming& incoming : incoming_) {
      // Whoever holds the lock is receiving from there.
      const std::unique_lock lock(incoming.mutex, std::try_to_lock);
      if (lock) incoming.keep_what_is_there();
    }
    wait_.pause(idle, outgoing.ring.flag(), outgoing.ring.awaited(), message.peer, message,
                deadline);
  }
}

void SharedMessages::send(ConstBuffer data, int to, Deadline deadline) {
  Outgoing& outgoing = outgoing_[to];
  const Message message(spec_, true, to, ++outgoing.messages);
  const Header header{.type = static_cast<std::uint32_t>(data.type), .elements = data.elements};
  write(outgoing, reinterpret_cast<const std::byte*>(&header), sizeof header, message, deadline);
  write(outgoing, data.data, data.bytes(), message, deadline);
}

void SharedMessages::read(Incoming& incoming, std::byte* data, std::size_t bytes,
                          const Message& message, Deadline deadline) {
  while (bytes != 0) {
    const std::size_t read = incoming.read_some(data, bytes);
    data += read;
    bytes -= read;
    if (read == 0) {
      wait_.until(incoming.ring.flag(), incoming.ring.awaited(), message.peer, message, deadline);
    }
  }
}

void SharedMessages::receive(Buffer data, int from, Deadline deadline) {
  Incoming& incoming = incoming_[from];
  const std::lock_guard lock(incoming.mutex);
  const Message message(spec_, false, from, ++incoming.messages);
  Header header;
  read(incoming, reinterpret_cast<std::byte*>(&header), sizeof header, message, deadline);
  const MessageShape sent(static_cast<ElementType>(header.type), header.elements);
  const MessageShape asked(data);
  if (header.magic != kMessage || sent != asked) {
    wait_.fail(Ending::mismatch, from,
               messages_differ(message.place(), from, sent, spec_.rank, asked));
  }
  read(incoming, data.data, data.bytes(), message, deadline);
}

bool SharedMessages::has_message(int from) {
  Incoming& incoming = incoming_[from];
  const std::unique_lock lock(incoming.mutex, std::try_to_lock);
  return lock && (incoming.anything() || wait_.is_hopeless(from));
}

}  // namespace shoal

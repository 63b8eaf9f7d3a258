#include "shoal/comm/shared_frames.h"

#include <cstring>

#include "shoal/core/check.h"

namespace shoal {

SharedFrames::SharedFrames(const SharedGroupSpec& spec, SharedWait& wait)
    : spec_(spec), wait_(wait) {
  Region& region = *spec.region;
  const std::size_t bytes = region.shape().channel_bytes;
  for (int peer = 0; peer < region.shape().size; ++peer) {
    const int out = region.shape().collective_channel(spec.rank, peer);
    const int in = region.shape().collective_channel(peer, spec.rank);
    outgoing_.push_back(
        {.ring = ChannelWriter(region.channel(out), region.channel_memory(out), bytes)});
    incoming_.push_back(
        {.ring = ChannelReader(region.channel(in), region.channel_memory(in), bytes)});
  }
}

void SharedFrames::queue(int to, std::uint32_t number, Stretches payload) {
  std::size_t bytes = 0;
  for (const iovec& stretch : payload) bytes += stretch.iov_len;
  outgoing_[to].frames.push_back(
      {.header = {number, static_cast<std::uint32_t>(bytes)}, .payload = std::move(payload)});
  sent_ += bytes;
}

std::size_t SharedFrames::run(FrameRun& run, const Doing& doing, Deadline deadline) {
  const int size = static_cast<int>(outgoing_.size());
  const std::size_t before = sent_;
  Idle idle;
  for (bool busy = true; busy;) {
    run.send_ready([&](int to, std::uint32_t number, Stretches payload) {
      queue(to, number, std::move(payload));
    });
    bool moved = false;
    busy = false;
    for (int peer = 0; peer < size; ++peer) {
      if (peer == spec_.rank) continue;
      moved |= write(outgoing_[peer]);
      moved |= read(peer, run);
      busy |= is_busy(peer, run);
    }
    if (moved) {
      idle.rounds = 0;
      busy = true;  // what came may have made something ready
    } else if (busy) {
      pause(idle, run, doing, deadline);
    }
  }
  run.finish();
  return sent_ - before;
}

// As much as there is room for; whether anything went.
bool SharedFrames::write(Outgoing& outgoing) {
  bool moved = false;
  while (!outgoing.frames.empty()) {
    Outgoing::Frame& frame = outgoing.frames.front();
    if (!frame.begun) {
      const auto* header = reinterpret_cast<const std::byte*>(&frame.header);
      if (outgoing.ring.write_some(header, sizeof frame.header) == 0) return moved;
      frame.begun = moved = true;
      outgoing.left = frame.header.bytes;
      if (frame.payload.size() == 1) {
        outgoing.at = static_cast<const std::byte*>(frame.payload[0].iov_base);
      } else {
        outgoing.gathered.clear();
        for (const iovec& stretch : frame.payload) {
          const auto* from = static_cast<const std::byte*>(stretch.iov_base);
          outgoing.gathered.insert(outgoing.gathered.end(), from, from + stretch.iov_len);
        }
        outgoing.at = outgoing.gathered.data();
      }
    }
    while (outgoing.left != 0) {
      const std::size_t written = outgoing.ring.write_some(outgoing.at, outgoing.left);
      if (written == 0) return moved;
      outgoing.at += written;
      outgoing.left -= written;
      moved = true;
    }
    outgoing.frames.pop_front();
  }
  return moved;
}

// All that is there; whether anything came.
bool SharedFrames::read(int from, FrameRun& run) {
  Incoming& incoming = incoming_[from];
  bool moved = false;
  while (incoming.begun || run.awaits(from)) {
    if (!incoming.begun) {
      auto* header = reinterpret_cast<std::byte*>(&incoming.header);
      if (incoming.ring.read_some(header, sizeof incoming.header) == 0) return moved;
      begin(from, run);
      moved = true;
    }
    while (incoming.left != 0) {
      const std::size_t read = incoming.ring.read_some(incoming.at, incoming.left);
      if (read == 0) return moved;
      incoming.at += read;
      incoming.left -= read;
      moved = true;
    }
    std::size_t taken = 0;
    for (const iovec& stretch : incoming.where) {
      if (incoming.where.size() == 1) break;
      std::memcpy(stretch.iov_base, incoming.gathered.data() + taken, stretch.iov_len);
      taken += stretch.iov_len;
    }
    incoming.begun = false;
    run.arrived(from, incoming.header.number);
  }
  return moved;
}

void SharedFrames::begin(int from, FrameRun& run) {
  Incoming& incoming = incoming_[from];
  incoming.where = run.place(from, incoming.header.number);
  incoming.left = 0;
  for (const iovec& stretch : incoming.where) incoming.left += stretch.iov_len;
  check_equal(incoming.left, std::size_t{incoming.header.bytes},
              "both ends of a channel know what is sent");
  if (incoming.where.size() == 1) {
    incoming.at = static_cast<std::byte*>(incoming.where[0].iov_base);
  } else {
    incoming.gathered.resize(incoming.left);
    incoming.at = incoming.gathered.data();
  }
  incoming.begun = true;
}

// All with whom something is still to be exchanged, not only the one whose flag is slept on.
class SharedFrames::Awaiting final : public Doing {
 public:
  Awaiting(const SharedFrames& frames, const FrameRun& run, const Doing& call)
      : frames_(frames), run_(run), call_(call) {}
  Place place() const override { return call_.place(); }
  std::vector<int> absent() const override {
    std::vector<int> ranks;
    for (int peer = 0; peer < static_cast<int>(frames_.outgoing_.size()); ++peer) {
      if (peer != frames_.spec_.rank && frames_.is_busy(peer, run_)) ranks.push_back(peer);
    }
    return ranks;
  }
  std::vector<std::uint64_t> differing_calls() const override { return call_.differing_calls(); }

 private:
  const SharedFrames& frames_;
  const FrameRun& run_;
  const Doing& call_;
};

void SharedFrames::pause(Idle& idle, const FrameRun& run, const Doing& doing, Deadline deadline) {
  const Awaiting awaiting(*this, run, doing);
  const int size = static_cast<int>(outgoing_.size());
  for (int peer = 0; peer < size; ++peer) {
    if (peer == spec_.rank || !run.awaits(peer)) continue;
    ChannelReader& ring = incoming_[peer].ring;
    return wait_.pause(idle, ring.flag(), ring.awaited(), peer, awaiting, deadline);
  }
  for (int peer = 0; peer < size; ++peer) {
    if (peer == spec_.rank || outgoing_[peer].frames.empty()) continue;
    ChannelWriter& ring = outgoing_[peer].ring;
    return wait_.pause(idle, ring.flag(), ring.awaited(), peer, awaiting, deadline);
  }
}

}  // namespace shoal

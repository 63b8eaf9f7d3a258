#include "shoal/comm/shared_frames.h"

#include "shoal/core/check.h"

namespace shoal {

SharedFrames::SharedFrames(const SharedGroupSpec& spec, SharedWait& wait)
    : spec_(spec), wait_(wait) {
  Region& region = *spec.region;
  for (int peer = 0; peer < region.shape().size; ++peer) {
    const int out = region.shape().collective_channel(spec.rank, peer);
    const int in = region.shape().collective_channel(peer, spec.rank);
    outgoing_.emplace_back(ChannelWriter(region, out));
    incoming_.emplace_back(ChannelReader(region, in));
  }
}

void SharedFrames::queue(int to, std::uint32_t number, Stretches payload) {
  std::size_t bytes = 0;
  for (const iovec& stretch : payload) bytes += stretch.iov_len;
  outgoing_[to].queue({number, static_cast<std::uint32_t>(bytes)}, std::move(payload));
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
      moved |= outgoing_[peer].write();
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

// All that is there; whether anything came.
bool SharedFrames::read(int from, FrameRun& run) {
  Incoming& incoming = incoming_[from];
  bool moved = false;
  while (run.awaits(from)) {
    switch (incoming.read(moved)) {
      case Incoming::Event::none:
        return moved;
      case Incoming::Event::header: {
        Stretches where = run.place(from, incoming.header().number);
        std::size_t room = 0;
        for (const iovec& stretch : where) room += stretch.iov_len;
        check_equal(room, std::size_t{incoming.header().bytes},
                    "both ends of a channel know what is sent");
        incoming.place(std::move(where));
        break;
      }
      case Incoming::Event::complete:
        incoming.next();
        run.arrived(from, incoming.header().number);
        break;
    }
  }
  return moved;
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
  std::optional<InvalidInput> difference() const override { return call_.difference(); }

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
    ChannelReader& ring = incoming_[peer].ring();
    return wait_.pause(idle, ring.flag(), ring.awaited(), peer, awaiting, deadline);
  }
  for (int peer = 0; peer < size; ++peer) {
    if (peer == spec_.rank || outgoing_[peer].empty()) continue;
    ChannelWriter& ring = outgoing_[peer].ring();
    return wait_.pause(idle, ring.flag(), ring.awaited(), peer, awaiting, deadline);
  }
}

}  // namespace shoal

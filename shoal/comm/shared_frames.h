// Moves the frames of a collective through the channels of a region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "shoal/comm/channel_frames.h"
#include "shoal/comm/frame_run.h"
#include "shoal/comm/shared_wait.h"

namespace shoal {

// One thread at a time.
class SharedFrames {
 public:
  SharedFrames(const SharedGroupSpec& spec, SharedWait& wait);

  // Until nothing is awaited and everything is in the channels. All directions at once: a rank that
  // only wrote could wait for ever for room. Returns the payload bytes that were sent.
  std::size_t run(FrameRun& run, const Doing& doing, Deadline deadline);

 private:
  struct Header {
    std::uint32_t number = 0;
    std::uint32_t bytes = 0;
  };
  using Outgoing = ChannelFrameWriter<Header>;
  using Incoming = ChannelFrameReader<Header>;

  class Awaiting;  // what a run waits for

  void queue(int to, std::uint32_t number, Stretches payload);
  bool read(int from, FrameRun& run);
  void pause(Idle& idle, const FrameRun& run, const Doing& doing, Deadline deadline);
  bool is_busy(int peer, const FrameRun& run) const {
    return run.awaits(peer) || !outgoing_[peer].empty();
  }

  const SharedGroupSpec& spec_;
  SharedWait& wait_;
  std::deque<Outgoing> outgoing_;  // by rank; the own one is not used
  std::deque<Incoming> incoming_;
  std::size_t sent_ = 0;
};

}  // namespace shoal

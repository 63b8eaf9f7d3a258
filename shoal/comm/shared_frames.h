// Moves the frames of a collective through the channels of a region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "shoal/comm/channel.h"
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
  struct Outgoing {
    ChannelWriter ring;
    struct Frame {
      Header header;
      Stretches payload;
      bool begun = false;
    };
    std::deque<Frame> frames{};
    std::vector<std::byte> gathered{};  // a payload of several stretches
    const std::byte* at = nullptr;      // of the first frame's payload
    std::size_t left = 0;
  };
  struct Incoming {
    ChannelReader ring;
    Header header{};
    bool begun = false;
    Stretches where{};
    std::vector<std::byte> gathered{};
    std::byte* at = nullptr;
    std::size_t left = 0;
  };

  class Awaiting;  // what a run waits for

  void queue(int to, std::uint32_t number, Stretches payload);
  bool write(Outgoing& outgoing);
  bool read(int from, FrameRun& run);
  void begin(int from, FrameRun& run);
  void pause(Idle& idle, const FrameRun& run, const Doing& doing, Deadline deadline);
  bool is_busy(int peer, const FrameRun& run) const {
    return run.awaits(peer) || !outgoing_[peer].frames.empty();
  }

  const SharedGroupSpec& spec_;
  SharedWait& wait_;
  std::deque<Outgoing> outgoing_;  // by rank; the own one is not used
  std::deque<Incoming> incoming_;
  std::size_t sent_ = 0;
};

}  // namespace shoal

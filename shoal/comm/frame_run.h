// One rank's part of a collective under way, as frames: which may go, and where those that come
// belong. An engine moves them; that is all it has to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "shoal/comm/parts.h"

namespace shoal {

// One thread at a time.
class FrameRun {
 public:
  static constexpr std::size_t kSegmentBytes = std::size_t{128} << 10;
  static constexpr std::size_t kMostFrameBytes = 2 * kSegmentBytes;

  // Calls send(to, number, stretches) for the frames that have become ready. The memory stays as it
  // is until finish().
  using Send = std::function<void(int to, std::uint32_t number, Stretches)>;
  virtual void send_ready(const Send& send) = 0;
  // Where a frame belongs; nothing when the sender's next frame is another one.
  virtual Stretches place(int from, std::uint32_t number) const = 0;
  virtual void arrived(int from, std::uint32_t number) = 0;
  virtual bool awaits(int from) const = 0;  // something is still to come from there
  // Once nothing is awaited and everything was sent.
  virtual void finish() = 0;

 protected:
  ~FrameRun() = default;
};

}  // namespace shoal

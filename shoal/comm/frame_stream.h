// What two ranks of a group over several hosts send each other: frames, each a header of 40 bytes
// and its payload. They go over a TCP connection, or through a channel in memory that both share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "shoal/comm/parts.h"
#include "shoal/comm/world.h"
#include "shoal/core/deadline.h"

namespace shoal {

static_assert(std::endian::native == std::endian::little, "headers travel as they lie in memory");

enum class FrameKind : std::uint8_t {
  first_phase,   // a rank's contribution to what the receiver reduces
  second_phase,  // something whole: a reduced segment, a gathered piece, broadcast data
  numbered,      // of a FrameRun: `index` says which
  arrival,       // nothing but the call
  message,       // point to point
  waiting,       // for whom the sender waits: a RankSet in `number` and `call`; `index`: says so
                 // again after so many milliseconds
  leaving,       // the last frame: `call` says why (Ending), `number` because of which rank; the
                 // payload says it in words where the others are to say the same
};

struct FrameHeader {
  static constexpr std::uint32_t kMagic = 0x4c485346;  // "FSHL"
  static constexpr std::uint32_t kMostBytes = 1 << 20;

  std::uint32_t magic = kMagic;
  FrameKind kind = FrameKind::arrival;
  std::uint8_t unused[3] = {};
  std::uint32_t bytes = 0;   // of the payload
  std::uint32_t index = 0;   // of the segment
  std::uint64_t number = 0;  // of the group's call, or of the message
  std::uint64_t call = 0;    // Call::packed(); type and elements of a message
  std::uint32_t payload_crc = 0;
  std::uint32_t header_crc = 0;

  bool is_possible() const {
    return magic == kMagic && kind <= FrameKind::leaving && bytes <= kMostBytes;
  }
};
static_assert(sizeof(FrameHeader) == 40);

// Limits how many bytes one step may move, for tests.
class Tearing {
 public:
  explicit Tearing(const TearBytes& tear) : state_(tear.seed) {}
  // At most this many bytes now; 0: pretend that nothing can be moved.
  std::size_t limit();

 private:
  std::uint64_t state_;
};

enum class Flow : std::uint8_t {
  moved,    // some bytes went
  blocked,  // nothing can be moved now, or there is nothing to do
  gone,     // the peer closed or reset the connection
};

// The sending side. One thread at a time. Nothing waits but await_room.
class FrameSender {
 public:
  virtual ~FrameSender() = default;
  // The payload is borrowed until it was sent.
  virtual void queue(const FrameHeader& header, Stretches payload) = 0;
  virtual bool empty() const = 0;
  // Whether the peer may have everything already, though this end does not know it yet.
  virtual bool is_handed_over() const { return empty(); }
  virtual Flow flush() = 0;
  // Forgets the frames that have not begun.
  virtual void drop_unbegun() = 0;
  // Before the thread sleeps on the descriptor until more can go: for what to poll, or nothing when
  // more can go at once.
  virtual short events_to_await() = 0;
  // Sleeps until more can go; false when the deadline passed or the peer is gone.
  virtual bool await_room(Deadline deadline) = 0;
};

// The receiving side. One thread at a time. Nothing waits.
class FrameReceiver {
 public:
  enum class Event : std::uint8_t {
    none,      // no whole header yet
    header,    // header() is here and wants place()
    complete,  // the payload is where it was to go; take the next with next()
    gone,      // closed or reset
    damaged,   // not a frame, or a checksum is wrong
  };
  virtual ~FrameReceiver() = default;
  // Reads what is there, up to the next event. Repeats header and complete until they are dealt
  // with.
  virtual Event read() = 0;
  virtual const FrameHeader& header() const = 0;
  // Where the payload goes; together `bytes` of the header.
  virtual void place(Stretches where) = 0;
  virtual void next() = 0;
  // Whether there is something to read now.
  virtual bool can_go_on() = 0;
  // Before the thread sleeps on the descriptor until more comes: for what to poll, or nothing when
  // there is more already.
  virtual short events_to_await() = 0;
  // After that: takes note of what the descriptor says beside the frames.
  virtual void look_at_descriptor() = 0;
};

}  // namespace shoal

// Frames over a TCP connection: what the tcp engine sends between two ranks. Neither end ever
// waits.
//
// A frame is a header of 40 bytes and its payload. Header and payload each carry a CRC-32C.
#pragma once

#include <sys/uio.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "shoal/comm/parts.h"
#include "shoal/comm/socket.h"
#include "shoal/comm/world.h"

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
};
static_assert(sizeof(FrameHeader) == 40);

// Limits how many bytes one system call may move, for tests.
class Tearing {
 public:
  explicit Tearing(const TearBytes& tear) : state_(tear.seed) {}
  // At most this many bytes now; 0: pretend that the socket would block.
  std::size_t limit();

 private:
  std::uint64_t state_;
};

enum class Flow : std::uint8_t {
  moved,    // some bytes went
  blocked,  // nothing can be moved now, or there is nothing to do
  gone,     // the peer closed or reset the connection
};

// The sending side. One thread at a time.
class FrameSender {
 public:
  FrameSender(int fd, const TearBytes& tear) : fd_(fd), tearing_(tear) {}

  // The payload is borrowed until it was sent.
  void queue(const FrameHeader& header, Stretches payload);
  bool empty() const { return frames_.empty(); }
  Flow flush();
  // Forgets the frames that have not begun.
  void drop_unbegun();

 private:
  struct Frame {
    FrameHeader header;
    Stretches payload;
    bool sealed = false;  // checksums are in
  };
  static void seal(Frame& frame);
  void advance(std::size_t bytes);

  int fd_;
  Tearing tearing_;
  std::deque<Frame> frames_;
  std::size_t sent_ = 0;  // of the first frame, header included
};

// The receiving side. One thread at a time.
class FrameReceiver {
 public:
  FrameReceiver(int fd, const TearBytes& tear) : fd_(fd), tearing_(tear) {}

  enum class Event : std::uint8_t {
    none,      // no whole header yet
    header,    // header() is here and wants place()
    complete,  // the payload is where it was to go; take the next with next()
    gone,      // closed or reset
    damaged,   // not a frame, or a checksum is wrong
  };
  // Reads what is there, up to the next event. Repeats header and complete until they are dealt
  // with.
  Event read();
  const FrameHeader& header() const { return header_; }
  // Where the payload goes; together `bytes` of the header.
  void place(Stretches where);
  void next();
  bool placed() const { return state_ == State::payload; }

 private:
  enum class State : std::uint8_t { header, header_ready, payload, complete, gone, damaged };
  Flow fill();
  Flow read_payload();
  void take_from_buffer();

  int fd_;
  Tearing tearing_;
  State state_ = State::header;
  FrameHeader header_;
  Stretches where_;
  std::size_t missing_ = 0;  // bytes of the payload
  // Small, so that headers come with small payloads in one call but large payloads go straight
  // home.
  std::array<std::byte, 4096> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace shoal

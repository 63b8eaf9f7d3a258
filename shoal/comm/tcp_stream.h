// Frames over a TCP connection. Header and payload each carry a CRC-32C.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "shoal/comm/frame_stream.h"

namespace shoal {

class SocketSender final : public FrameSender {
 public:
  SocketSender(int fd, const TearBytes& tear) : fd_(fd), tearing_(tear) {}

  void queue(const FrameHeader& header, Stretches payload) override;
  bool empty() const override { return frames_.empty(); }
  Flow flush() override;
  void drop_unbegun() override;
  short events_to_await() override;
  bool await_room(Deadline deadline) override;

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

class SocketReceiver final : public FrameReceiver {
 public:
  SocketReceiver(int fd, const TearBytes& tear) : fd_(fd), tearing_(tear) {}

  Event read() override;
  const FrameHeader& header() const override { return header_; }
  void place(Stretches where) override;
  void next() override;
  bool can_go_on() override;
  short events_to_await() override;
  void look_at_descriptor() override {}

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

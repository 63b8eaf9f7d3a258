// Frames through a channel in memory that two ranks share. A socket beside it wakes whoever sleeps
// (a byte is a bell) and tells when the other has gone. Memory needs no checksums.
#pragma once

#include "shoal/comm/channel_frames.h"
#include "shoal/comm/frame_stream.h"

namespace shoal {

class RingSender final : public FrameSender {
 public:
  RingSender(ChannelWriter ring, int fd, const TearBytes& tear)
      : writer_(ring), fd_(fd), tearing_(tear) {}

  void queue(const FrameHeader& header, Stretches payload) override;
  bool empty() const override { return writer_.empty(); }
  Flow flush() override;
  void drop_unbegun() override { writer_.drop_unbegun(); }
  short events_to_await() override;
  bool await_room(Deadline deadline) override;

 private:
  ChannelWriter& ring() { return writer_.ring(); }

  ChannelFrameWriter<FrameHeader> writer_;
  int fd_;
  Tearing tearing_;
};

class RingReceiver final : public FrameReceiver {
 public:
  RingReceiver(ChannelReader ring, int fd, const TearBytes& tear)
      : reader_(ring), fd_(fd), tearing_(tear) {}

  Event read() override;
  const FrameHeader& header() const override { return reader_.header(); }
  void place(Stretches where) override { reader_.place(std::move(where)); }
  void next() override { reader_.next(); }
  bool can_go_on() override { return ring().flag().reached(ring().awaited()); }
  short events_to_await() override;
  void look_at_descriptor() override;

 private:
  ChannelReader& ring() { return reader_.ring(); }

  ChannelFrameReader<FrameHeader> reader_;
  int fd_;
  Tearing tearing_;
  bool ended_ = false;  // the socket: no more than what is in the channel will come
};

}  // namespace shoal

#include "shoal/comm/ring_stream.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <vector>

#include "shoal/comm/region.h"
#include "shoal/comm/socket.h"
#include "shoal/comm/test_frames.h"

namespace shoal::test {
namespace {

// Both ends of a channel of two ranks, with the sockets beside it.
class RingStream : public testing::Test {
 protected:
  RingStream() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    near_ = Socket(fds[0]);
    far_ = Socket(fds[1]);
  }
  int channel() const { return region_->shape().collective_channel(0, 1); }
  RingSender sender(const TearBytes& tear = {}) {
    return {ChannelWriter(*region_, channel()), near_.fd(), tear};
  }
  RingReceiver receiver(const TearBytes& tear = {}) {
    return {ChannelReader(*region_, channel()), far_.fd(), tear};
  }
  static bool is_readable(const Socket& socket) { return has_events(socket.fd(), POLLIN); }
  static FrameHeader header_of(const std::vector<char>& payload, std::uint32_t index) {
    FrameHeader header;
    header.bytes = static_cast<std::uint32_t>(payload.size());
    header.index = index;
    return header;
  }

  std::shared_ptr<Region> region_ = Region::in_process(2);
  Socket near_;
  Socket far_;
};

TEST_F(RingStream, FramesArriveWholeHoweverTheyAreTorn) {
  RingSender out = sender({.seed = 7});
  RingReceiver in = receiver({.seed = 8});
  for (std::uint64_t round = 0; round < 20; ++round) {
    // The last is larger than half of the channel.
    ASSERT_NO_FATAL_FAILURE(
        expect_frames_arrive(out, in, {0, 1, 40, 4095, 4096, 4097, 200000, 600001}, round));
  }
}

TEST_F(RingStream, ABellIsRungForWhoeverSleepsAndForNobodyElse) {
  RingSender out = sender();
  RingReceiver in = receiver();
  std::vector<char> payload(100);
  out.queue(header_of(payload, 0), {{payload.data(), payload.size()}});
  out.flush();
  EXPECT_FALSE(is_readable(far_)) << "nobody sleeps";
  EXPECT_EQ(in.events_to_await(), 0) << "there is something";
  ASSERT_EQ(in.read(), FrameReceiver::Event::header);
  in.place({{payload.data(), payload.size()}});
  ASSERT_EQ(in.read(), FrameReceiver::Event::complete);
  in.next();
  EXPECT_EQ(in.events_to_await(), POLLIN);
  EXPECT_FALSE(is_readable(far_));
  out.queue(header_of(payload, 1), {{payload.data(), payload.size()}});
  out.flush();
  EXPECT_TRUE(is_readable(far_));
  in.look_at_descriptor();
  EXPECT_FALSE(is_readable(far_));
  EXPECT_EQ(in.read(), FrameReceiver::Event::header);
}

TEST_F(RingStream, ABellIsRungForAWriterWhoSleepsUntilThereIsRoom) {
  RingSender out = sender();
  RingReceiver in = receiver();
  std::vector<char> payload(FrameHeader::kMostBytes, 'x');
  std::vector<char> came(payload.size());
  for (std::uint32_t i = 0; i < 2; ++i) {
    out.queue(header_of(payload, i), {{payload.data(), payload.size()}});
  }
  while (out.flush() == Flow::moved) {
  }
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out.events_to_await(), POLLIN);
  EXPECT_FALSE(out.await_room(Deadline::after(std::chrono::milliseconds(20))));
  ASSERT_EQ(in.read(), FrameReceiver::Event::header);
  in.place({{came.data(), came.size()}});
  in.read();
  EXPECT_TRUE(is_readable(near_));
  EXPECT_TRUE(out.await_room(Deadline::after(std::chrono::seconds(20))));
}

TEST_F(RingStream, WhatWasWrittenBeforeTheEndStillArrives) {
  RingSender out = sender();
  RingReceiver in = receiver();
  out.queue(header_of({}, 3), {});
  out.flush();
  near_.reset();
  in.look_at_descriptor();
  ASSERT_EQ(in.read(), FrameReceiver::Event::header);
  in.place({});
  ASSERT_EQ(in.read(), FrameReceiver::Event::complete);
  in.next();
  EXPECT_EQ(in.read(), FrameReceiver::Event::gone);
}

TEST_F(RingStream, ASenderNoticesThatNobodyReadsAnyMore) {
  RingSender out = sender();
  std::vector<char> payload(FrameHeader::kMostBytes, 'x');
  for (std::uint32_t i = 0; i < 2; ++i) {
    out.queue(header_of(payload, i), {{payload.data(), payload.size()}});
  }
  far_.reset();
  Flow flow = Flow::moved;
  while (flow == Flow::moved) flow = out.flush();
  EXPECT_EQ(flow, Flow::gone);
  EXPECT_FALSE(out.await_room(Deadline::after(std::chrono::seconds(20))));
}

TEST_F(RingStream, BytesThatAreNoFrameAreDamage) {
  ChannelWriter writer(*region_, channel());
  FrameHeader header;
  header.magic = 1;
  writer.write_some(reinterpret_cast<const std::byte*>(&header), sizeof header);
  EXPECT_EQ(receiver().read(), FrameReceiver::Event::damaged);
}

}  // namespace
}  // namespace shoal::test

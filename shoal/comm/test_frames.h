// Frames through both ends of a stream, however it is cut.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "shoal/comm/frame_stream.h"

namespace shoal::test {

// Queues a frame of each size, from two places, and moves them until all have come, each into two
// places. They come in order, whole, and nothing is left. `which` tells runs apart in messages.
inline void expect_frames_arrive(FrameSender& out, FrameReceiver& in,
                                 const std::vector<std::size_t>& sizes, std::uint64_t which) {
  std::vector<std::vector<char>> payloads;
  for (const std::size_t size : sizes) {
    payloads.emplace_back(size, static_cast<char>('a' + (payloads.size() + which) % 26));
  }
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    FrameHeader header;
    header.bytes = static_cast<std::uint32_t>(payloads[i].size());
    header.index = static_cast<std::uint32_t>(i);
    const std::size_t half = payloads[i].size() / 2;
    out.queue(header,
              {{payloads[i].data(), half}, {payloads[i].data() + half, payloads[i].size() - half}});
  }
  std::vector<char> came;
  for (std::size_t received = 0; received < payloads.size();) {
    out.flush();
    const auto event = in.read();
    if (event == FrameReceiver::Event::header) {
      came.assign(in.header().bytes, '?');
      const std::size_t third = came.size() / 3;
      in.place({{came.data(), third}, {came.data() + third, came.size() - third}});
    } else if (event == FrameReceiver::Event::complete) {
      ASSERT_EQ(in.header().index, received);
      ASSERT_TRUE(came == payloads[received]) << "frame " << received << " of " << which;
      ++received;
      in.next();
    } else {
      ASSERT_EQ(event, FrameReceiver::Event::none) << which;
    }
  }
  ASSERT_TRUE(out.empty());
}

}  // namespace shoal::test

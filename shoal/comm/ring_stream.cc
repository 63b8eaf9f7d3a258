#include "shoal/comm/ring_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shoal/comm/socket.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;

// When the socket takes no more, bells enough are under way; when the other has gone, nobody
// sleeps.
void ring_bell(int fd) { send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT); }

}  // namespace

void RingSender::queue(const FrameHeader& header, Stretches payload) {
  check(header.bytes <= FrameHeader::kMostBytes, "frames are small");
  writer_.queue(header, std::move(payload));
}

Flow RingSender::flush() {
  if (tearing_.limit() == 0) return Flow::blocked;
  const bool moved = writer_.write();
  if (ring().take_sleeper()) ring_bell(fd_);
  if (moved) return Flow::moved;
  return !writer_.empty() && has_events(fd_, POLLRDHUP) ? Flow::gone : Flow::blocked;
}

short RingSender::events_to_await() { return ring().flag().expect(ring().awaited()) ? POLLIN : 0; }

bool RingSender::await_room(Deadline deadline) {
  constexpr milliseconds kLookAround{10};
  while (!ring().flag().reached(ring().awaited())) {
    if (deadline.passed() || has_events(fd_, POLLRDHUP)) return false;
    ring().flag().sleep(ring().awaited(),
                        std::clamp(deadline.left(), milliseconds(1), kLookAround));
  }
  return true;
}

FrameReceiver::Event RingReceiver::read() {
  if (tearing_.limit() == 0) return Event::none;
  bool moved = false;
  const auto event = reader_.read(moved);
  if (ring().take_sleeper()) ring_bell(fd_);
  switch (event) {
    case ChannelFrameReader<FrameHeader>::Event::none:
      return ended_ ? Event::gone : Event::none;
    case ChannelFrameReader<FrameHeader>::Event::complete:
      return Event::complete;
    case ChannelFrameReader<FrameHeader>::Event::header:
      break;
  }
  return reader_.header().is_possible() ? Event::header : Event::damaged;
}

short RingReceiver::events_to_await() {
  return ring().flag().expect(ring().awaited()) ? POLLIN : 0;
}

void RingReceiver::look_at_descriptor() {
  std::array<char, 64> bells;
  for (;;) {
    const ssize_t got = recv(fd_, bells.data(), bells.size(), MSG_DONTWAIT);
    if (got > 0) continue;
    ended_ |= got == 0 || (errno != EAGAIN && errno != EINTR);
    if (got == 0 || errno != EINTR) return;
  }
}

}  // namespace shoal

#include "shoal/comm/tcp_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "shoal/comm/socket.h"
#include "shoal/core/check.h"
#include "shoal/core/digest.h"

namespace shoal {
namespace {

std::span<const std::byte> bytes_of(const iovec& stretch) {
  return {static_cast<const std::byte*>(stretch.iov_base), stretch.iov_len};
}

std::uint32_t crc_of(const FrameHeader& header) {
  return crc32c(std::as_bytes(std::span(&header, 1)).first(sizeof header - sizeof(std::uint32_t)));
}

std::uint32_t crc_of(const Stretches& stretches) {
  std::uint32_t crc = 0;
  for (const iovec& stretch : stretches) crc = crc32c(bytes_of(stretch), crc);
  return crc;
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

// Appends what lies beyond `skip` bytes of `stretches`, up to `limit` bytes.
void append_rest(std::array<iovec, 64>& list, std::size_t& count, const Stretches& stretches,
                 std::size_t skip, std::size_t limit) {
  for (const iovec& stretch : stretches) {
    if (count == list.size() || limit == 0) return;
    if (skip >= stretch.iov_len) {
      skip -= stretch.iov_len;
      continue;
    }
    const std::size_t here = std::min(stretch.iov_len - skip, limit);
    list[count++] = {static_cast<char*>(stretch.iov_base) + skip, here};
    limit -= here;
    skip = 0;
  }
}

}  // namespace

void SocketSender::queue(const FrameHeader& header, Stretches payload) {
  check(header.bytes <= FrameHeader::kMostBytes, "frames are small");
  frames_.push_back({header, std::move(payload)});
}

void SocketSender::drop_unbegun() {
  const std::size_t keep = sent_ == 0 ? 0 : 1;
  if (frames_.size() > keep) frames_.resize(keep);
}

// Just before sending: the payload is then in the cache for the kernel's copy.
void SocketSender::seal(Frame& frame) {
  frame.header.payload_crc = crc_of(frame.payload);
  frame.header.header_crc = crc_of(frame.header);
  frame.sealed = true;
}

Flow SocketSender::flush() {
  Flow flow = Flow::blocked;
  while (!frames_.empty()) {
    Frame& frame = frames_.front();
    if (!frame.sealed) seal(frame);
    const std::size_t limit = tearing_.limit();
    if (limit == 0) return flow;
    std::array<iovec, 64> list;
    std::size_t count = 0;
    if (sent_ < sizeof frame.header) {
      const std::size_t here = std::min(sizeof frame.header - sent_, limit);
      list[count++] = {reinterpret_cast<char*>(&frame.header) + sent_, here};
      append_rest(list, count, frame.payload, 0, limit - here);
    } else {
      append_rest(list, count, frame.payload, sent_ - sizeof frame.header, limit);
    }
    msghdr message{};
    message.msg_iov = list.data();
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) return would_block() ? flow : Flow::gone;
    flow = Flow::moved;
    advance(static_cast<std::size_t>(sent));
  }
  return flow;
}

short SocketSender::events_to_await() { return POLLOUT; }

bool SocketSender::await_room(Deadline deadline) {
  return await_events(fd_, POLLOUT, deadline) && !deadline.passed();
}

void SocketSender::advance(std::size_t bytes) {
  sent_ += bytes;
  const Frame& frame = frames_.front();
  if (sent_ < sizeof frame.header + frame.header.bytes) return;
  frames_.pop_front();
  sent_ = 0;
}

FrameReceiver::Event SocketReceiver::read() {
  for (;;) {
    switch (state_) {
      case State::header: {
        if (end_ - begin_ < sizeof header_) {
          const Flow flow = fill();
          if (flow == Flow::blocked) return Event::none;
          if (flow == Flow::gone) state_ = State::gone;
          continue;
        }
        std::memcpy(&header_, buffer_.data() + begin_, sizeof header_);
        begin_ += sizeof header_;
        const bool good = header_.header_crc == crc_of(header_) && header_.is_possible();
        state_ = good ? State::header_ready : State::damaged;
        continue;
      }
      case State::header_ready:
        return Event::header;
      case State::payload:
        if (missing_ != 0) {
          const Flow flow = read_payload();
          if (flow == Flow::blocked) return Event::none;
          if (flow == Flow::gone) state_ = State::gone;
          continue;
        }
        state_ = crc_of(where_) == header_.payload_crc ? State::complete : State::damaged;
        continue;
      case State::complete:
        return Event::complete;
      case State::gone:
        return Event::gone;
      case State::damaged:
        return Event::damaged;
    }
  }
}

// Moves what is left in the buffer to its begin and reads behind it.
Flow SocketReceiver::fill() {
  if (begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const std::size_t limit = std::min(buffer_.size() - end_, tearing_.limit());
  if (limit == 0) return Flow::blocked;
  const ssize_t got = recv(fd_, buffer_.data() + end_, limit, 0);
  if (got == 0) return Flow::gone;
  if (got < 0) return would_block() ? Flow::blocked : Flow::gone;
  end_ += static_cast<std::size_t>(got);
  return Flow::moved;
}

void SocketReceiver::place(Stretches where) {
  check(state_ == State::header_ready, "a payload is placed once");
  where_ = std::move(where);
  missing_ = 0;
  for (const iovec& stretch : where_) missing_ += stretch.iov_len;
  check_equal(missing_, std::size_t{header_.bytes}, "bytes of the place of a payload");
  state_ = State::payload;
  take_from_buffer();
}

// The buffer may hold the begin of the payload.
void SocketReceiver::take_from_buffer() {
  const std::size_t all = header_.bytes;
  while (missing_ != 0 && begin_ != end_) {
    std::array<iovec, 64> list;
    std::size_t count = 0;
    append_rest(list, count, where_, all - missing_, std::min(missing_, end_ - begin_));
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(list[i].iov_base, buffer_.data() + begin_, list[i].iov_len);
      begin_ += list[i].iov_len;
      missing_ -= list[i].iov_len;
    }
  }
}

Flow SocketReceiver::read_payload() {
  const std::size_t limit = std::min(missing_, tearing_.limit());
  if (limit == 0) return Flow::blocked;
  std::array<iovec, 64> list;
  std::size_t count = 0;
  append_rest(list, count, where_, header_.bytes - missing_, limit);
  msghdr message{};
  message.msg_iov = list.data();
  message.msg_iovlen = count;
  const ssize_t got = recvmsg(fd_, &message, 0);
  if (got == 0) return Flow::gone;
  if (got < 0) return would_block() ? Flow::blocked : Flow::gone;
  missing_ -= static_cast<std::size_t>(got);
  return Flow::moved;
}

bool SocketReceiver::can_go_on() { return has_events(fd_, POLLIN); }

short SocketReceiver::events_to_await() { return POLLIN; }

void SocketReceiver::next() {
  check(state_ == State::complete, "the next frame follows a complete one");
  state_ = State::header;
}

}  // namespace shoal

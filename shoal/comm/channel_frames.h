// Frames through a channel: a header, which names the bytes of the payload behind it, and that
// payload. Header is a plain struct with a member `bytes`. Neither end ever waits.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "shoal/comm/channel.h"
#include "shoal/comm/parts.h"

namespace shoal {

// One thread at a time.
template <typename Header>
class ChannelFrameWriter {
 public:
  explicit ChannelFrameWriter(ChannelWriter ring) : ring_(ring) {}

  // The payload is borrowed until it is in the channel.
  void queue(const Header& header, Stretches payload) {
    frames_.push_back({header, std::move(payload)});
  }
  bool empty() const { return frames_.empty(); }
  // Forgets the frames that have not begun.
  void drop_unbegun() {
    const std::size_t keep = begun_ ? 1 : 0;
    if (frames_.size() > keep) frames_.resize(keep);
  }
  // As much as there is room for; whether anything went.
  bool write() {
    bool moved = false;
    while (!frames_.empty()) {
      if (!begun_) {
        if (!begin()) return moved;
        moved = true;
      }
      while (left_ != 0) {
        const std::size_t written = ring_.write_some(at_, left_);
        if (written == 0) return moved;
        moved = true;
        at_ += written;
        left_ -= written;
      }
      frames_.pop_front();
      begun_ = false;
    }
    return moved;
  }
  ChannelWriter& ring() { return ring_; }

 private:
  struct Frame {
    Header header;
    Stretches payload;
  };
  bool begin() {
    const Frame& frame = frames_.front();
    const auto* header = reinterpret_cast<const std::byte*>(&frame.header);
    if (ring_.write_some(header, sizeof frame.header) == 0) return false;
    begun_ = true;
    left_ = frame.header.bytes;
    if (frame.payload.size() == 1) {
      at_ = static_cast<const std::byte*>(frame.payload[0].iov_base);
      return true;
    }
    gathered_.resize(left_);
    gather(frame.payload, gathered_.data());
    at_ = gathered_.data();
    return true;
  }

  ChannelWriter ring_;
  std::deque<Frame> frames_;
  bool begun_ = false;  // the first one
  std::vector<std::byte> gathered_;
  const std::byte* at_ = nullptr;  // of the first one's payload
  std::size_t left_ = 0;
};

// One thread at a time.
template <typename Header>
class ChannelFrameReader {
 public:
  explicit ChannelFrameReader(ChannelReader ring) : ring_(ring) {}

  enum class Event : std::uint8_t {
    none,      // not everything has come that the next event needs
    header,    // header() is here and wants place()
    complete,  // the payload is where it was to go; take the next with next()
  };
  // Reads what is there, up to the next event; sets `moved` when anything was. Repeats header and
  // complete until they are dealt with.
  Event read(bool& moved) {
    if (state_ == State::header) {
      auto* const header = reinterpret_cast<std::byte*>(&header_);
      if (ring_.read_some(header, sizeof header_) == 0) return Event::none;
      moved = true;
      state_ = State::header_ready;
    }
    if (state_ == State::header_ready) return Event::header;
    while (left_ != 0) {
      const std::size_t read = ring_.read_some(at_, left_);
      if (read == 0) return Event::none;
      moved = true;
      at_ += read;
      left_ -= read;
    }
    if (state_ == State::payload) {
      if (where_.size() != 1) scatter(gathered_.data(), where_);
      state_ = State::complete;
    }
    return Event::complete;
  }
  const Header& header() const { return header_; }
  // Where the payload goes; together `bytes` of the header.
  void place(Stretches where) {
    where_ = std::move(where);
    left_ = header_.bytes;
    if (where_.size() == 1) {
      at_ = static_cast<std::byte*>(where_[0].iov_base);
    } else {
      gathered_.resize(left_);
      at_ = gathered_.data();
    }
    state_ = State::payload;
  }
  void next() { state_ = State::header; }
  ChannelReader& ring() { return ring_; }

 private:
  enum class State : std::uint8_t { header, header_ready, payload, complete };

  ChannelReader ring_;
  State state_ = State::header;
  Header header_{};
  Stretches where_;
  std::vector<std::byte> gathered_;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;  // bytes of the payload
};

}  // namespace shoal

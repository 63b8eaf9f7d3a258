#include "shoal/comm/mpi_stream.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "shoal/comm/frame_run.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

constexpr std::size_t kMostPayload = FrameRun::kMostFrameBytes;
constexpr std::size_t kMessageBytes = sizeof(FrameHeader) + kMostPayload;

std::unique_ptr<std::byte[]> untouched(std::size_t bytes) {
  return std::unique_ptr<std::byte[]>(new std::byte[bytes]);
}

}  // namespace

MpiSender::~MpiSender() {
  take_done();
  if (under_way_.empty()) return;
  // Shared: the process keeps functions that can be copied.
  const auto rest = std::make_shared<std::deque<MpiMemory>>(std::move(under_way_));
  process_->keep([rest, &calls = process_->calls()](bool) {
    std::size_t ignored = 0;
    return std::none_of(rest->begin(), rest->end(), [&](MpiMemory& memory) {
      return calls.test(memory.request, ignored) == MpiCalls::State::under_way;
    });
  });
}

void MpiSender::queue(const FrameHeader& header, Stretches payload) {
  check(header.bytes <= kMostPayload, "frames fit the messages that are awaited");
  frames_.push_back({header, std::move(payload)});
}

bool MpiSender::take_done() {
  bool any = false;
  while (!under_way_.empty()) {
    std::size_t ignored = 0;
    const auto state = process_->calls().test(under_way_.front().request, ignored);
    if (state == MpiCalls::State::under_way) break;
    failed_ |= state == MpiCalls::State::failed;
    spare_.push_back(std::move(under_way_.front().bytes));
    under_way_.pop_front();
    any = true;
  }
  return any;
}

void MpiSender::begin(const Frame& frame) {
  MpiMemory memory;
  if (spare_.empty()) {
    memory.bytes = untouched(kMessageBytes);
  } else {
    memory.bytes = std::move(spare_.back());
    spare_.pop_back();
  }
  std::byte* at = memory.bytes.get();
  std::memcpy(at, &frame.header, sizeof frame.header);
  at += sizeof frame.header;
  for (const iovec& stretch : frame.payload) {
    if (stretch.iov_len == 0) continue;
    std::memcpy(at, stretch.iov_base, stretch.iov_len);
    at += stretch.iov_len;
  }
  memory.request = process_->calls().send(
      memory.bytes.get(), static_cast<std::size_t>(at - memory.bytes.get()), to_.rank, to_.tag);
  under_way_.push_back(std::move(memory));
}

Flow MpiSender::flush() {
  if (tearing_.limit() == 0) return Flow::blocked;
  bool moved = take_done();
  while (!frames_.empty() && under_way_.size() < kMostUnderWay) {
    begin(frames_.front());
    frames_.pop_front();
    moved = true;
    take_done();
  }
  if (failed_) return Flow::gone;
  return moved ? Flow::moved : Flow::blocked;
}

short MpiSender::events_to_await() { return take_done() ? 0 : POLLOUT; }

bool MpiSender::await_room(Deadline deadline) {
  while (!take_done()) {
    if (failed_ || deadline.passed()) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

MpiReceiver::Inbox::Inbox(MpiCalls& calls, MpiPlace from) : calls_(calls), from_(from) {
  for (MpiMemory& memory : memories_) {
    memory.bytes = untouched(kMessageBytes);
    post(memory);
  }
}

void MpiReceiver::Inbox::post(MpiMemory& memory) {
  memory.request = calls_.receive(memory.bytes.get(), kMessageBytes, from_.rank, from_.tag);
}

MpiReceiver::State MpiReceiver::Inbox::look() {
  std::size_t bytes = 0;
  switch (calls_.test(memories_[next_].request, bytes)) {
    case MpiCalls::State::under_way:
      return State::awaited;
    case MpiCalls::State::failed:
      return State::gone;
    case MpiCalls::State::done:
      break;
  }
  if (bytes < sizeof header_) return State::damaged;
  std::memcpy(&header_, memories_[next_].bytes.get(), sizeof header_);
  const bool good = header_.magic == FrameHeader::kMagic && header_.kind <= FrameKind::leaving &&
                    header_.bytes == bytes - sizeof header_;
  return good ? State::header : State::damaged;
}

void MpiReceiver::Inbox::next() {
  post(memories_[next_]);
  next_ = (next_ + 1) % memories_.size();
}

bool MpiReceiver::Inbox::is_free(bool is_last_time) {
  bool ended = is_last_time;
  while (!cancelled_ && !ended) {
    const State state = look();
    if (state == State::awaited) return false;
    ended = state != State::header || header_.kind == FrameKind::leaving;
    if (!ended) next();
  }
  if (!cancelled_) {
    for (MpiMemory& memory : memories_) calls_.cancel(memory.request);
    cancelled_ = true;
  }
  std::size_t ignored = 0;
  return std::none_of(memories_.begin(), memories_.end(), [&](MpiMemory& memory) {
    return calls_.test(memory.request, ignored) == MpiCalls::State::under_way;
  });
}

MpiReceiver::MpiReceiver(std::shared_ptr<MpiProcess> process, MpiPlace from, const TearBytes& tear)
    : process_(std::move(process)),
      tearing_(tear),
      inbox_(std::make_unique<Inbox>(process_->calls(), from)) {}

// What others have sent is to arrive, or it would lie about in MPI for ever: the inbox stays until
// their farewell. Not for one whose sender has died: a message may be half here.
MpiReceiver::~MpiReceiver() {
  const bool was_read = state_ == State::header || state_ == State::complete;
  const bool ended = state_ == State::gone || state_ == State::damaged ||
                     (was_read && inbox_->header().kind == FrameKind::leaving);
  if (was_read && !ended) inbox_->next();
  process_->keep([inbox = std::shared_ptr<Inbox>(std::move(inbox_)), ended](bool is_last_time) {
    return inbox->is_free(ended || is_last_time);
  });
}

bool MpiReceiver::can_go_on() {
  if (state_ == State::awaited) state_ = inbox_->look();
  return state_ != State::awaited;
}

FrameReceiver::Event MpiReceiver::read() {
  if (state_ == State::awaited && (tearing_.limit() == 0 || !can_go_on())) return Event::none;
  switch (state_) {
    case State::awaited:
      return Event::none;
    case State::header:
      return Event::header;
    case State::complete:
      return Event::complete;
    case State::gone:
      return Event::gone;
    case State::damaged:
      return Event::damaged;
  }
  return Event::damaged;
}

void MpiReceiver::place(Stretches where) {
  const std::byte* from = inbox_->payload();
  for (const iovec& stretch : where) {
    if (stretch.iov_len == 0) continue;
    std::memcpy(stretch.iov_base, from, stretch.iov_len);
    from += stretch.iov_len;
  }
  state_ = State::complete;
}

void MpiReceiver::next() {
  inbox_->next();
  state_ = State::awaited;
}

short MpiReceiver::events_to_await() { return can_go_on() ? 0 : POLLIN; }

}  // namespace shoal

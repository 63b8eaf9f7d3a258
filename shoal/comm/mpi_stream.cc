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
    return std::all_of(rest->begin(), rest->end(),
                       [&](MpiMemory& memory) { return memory.is_free(calls); });
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

FrameReceiver::Event MpiReceiver::Inbox::look() {
  std::size_t bytes = 0;
  switch (calls_.test(memories_[next_].request, bytes)) {
    case MpiCalls::State::under_way:
      return Event::none;
    case MpiCalls::State::failed:
      return Event::gone;
    case MpiCalls::State::done:
      break;
  }
  if (bytes < sizeof header_) return Event::damaged;
  std::memcpy(&header_, memories_[next_].bytes.get(), sizeof header_);
  const bool good = header_.is_possible() && header_.bytes == bytes - sizeof header_;
  return good ? Event::header : Event::damaged;
}

void MpiReceiver::Inbox::next() {
  post(memories_[next_]);
  next_ = (next_ + 1) % memories_.size();
}

bool MpiReceiver::Inbox::is_free(bool is_last_time) {
  bool ended = is_last_time;
  while (!cancelled_ && !ended) {
    const Event event = look();
    if (event == Event::none) return false;
    ended = event != Event::header || header_.kind == FrameKind::leaving;
    if (!ended) next();
  }
  if (!cancelled_) {
    for (MpiMemory& memory : memories_) calls_.cancel(memory.request);
    cancelled_ = true;
  }
  return std::all_of(memories_.begin(), memories_.end(),
                     [&](MpiMemory& memory) { return memory.is_free(calls_); });
}

MpiReceiver::MpiReceiver(std::shared_ptr<MpiProcess> process, MpiPlace from, const TearBytes& tear)
    : process_(std::move(process)),
      tearing_(tear),
      inbox_(std::make_unique<Inbox>(process_->calls(), from)) {}

// What others have sent is to arrive, or it would lie about in MPI for ever: the inbox stays until
// their farewell. Not for one whose sender has died: a message may be half here.
MpiReceiver::~MpiReceiver() {
  const bool was_read = state_ == Event::header || state_ == Event::complete;
  const bool ended = state_ == Event::gone || state_ == Event::damaged ||
                     (was_read && inbox_->header().kind == FrameKind::leaving);
  if (was_read && !ended) inbox_->next();
  process_->keep([inbox = std::shared_ptr<Inbox>(std::move(inbox_)), ended](bool is_last_time) {
    return inbox->is_free(ended || is_last_time);
  });
}

bool MpiReceiver::can_go_on() {
  if (state_ == Event::none) state_ = inbox_->look();
  return state_ != Event::none;
}

FrameReceiver::Event MpiReceiver::read() {
  if (state_ == Event::none && tearing_.limit() != 0) state_ = inbox_->look();
  return state_;
}

void MpiReceiver::place(Stretches where) {
  scatter(inbox_->payload(), where);
  state_ = Event::complete;
}

void MpiReceiver::next() {
  inbox_->next();
  state_ = Event::none;
}

short MpiReceiver::events_to_await() { return can_go_on() ? 0 : POLLIN; }

}  // namespace shoal

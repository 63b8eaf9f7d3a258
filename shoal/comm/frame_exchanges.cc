#include "shoal/comm/frame_exchanges.h"

#include <algorithm>

namespace shoal {
AllToAllFrames::AllToAllFrames(FrameLinks& links, const FrameRound& round, int rank, int size)
    : links_(links), round_(round), rank_(rank), size_(size), come_(size) {
  come_[rank] = true;
}

void AllToAllFrames::start(std::byte* own, std::size_t bytes, std::byte* memory,
                           std::size_t stride) {
  memory_ = memory;
  stride_ = stride;
  bytes_ = bytes;
  for (int step = 1; step < size_; ++step) {
    // Everybody begins with another rank, so that none is flooded.
    const int to = (rank_ + step) % size_;
    links_.queue(to, links_.header(round_, FrameKind::arrival, 0, bytes), {{own, bytes}});
  }
}

bool AllToAllFrames::place(int from, const FrameHeader& header, Stretches& where) {
  // The frames that follow may come while others are awaited.
  if (header.kind != FrameKind::arrival || come_[from]) return false;
  where = {{memory_ + static_cast<std::size_t>(from) * stride_, bytes_}};
  return true;
}

void AllToAllFrames::arrived(int from, const FrameHeader&) { come_[from] = true; }

SegmentExchange::SegmentExchange(FrameLinks& links, const FrameRound& round, int rank, int size,
                                 Plan plan, std::vector<std::byte>& scratch)
    : links_(links),
      round_(round),
      rank_(rank),
      size_(size),
      plan_(std::move(plan)),
      element_(size_of(plan_.out->type())),
      segment_elements_(static_cast<std::int64_t>(kSegmentBytes / element_)),
      scratch_(scratch),
      contributed_(size),
      given_(size),
      announced_(size),
      sources_(size) {
  if (plan_.first_phase) {
    const std::size_t bytes = static_cast<std::size_t>(size) * kWindow * kSegmentBytes;
    if (scratch_.size() < bytes) scratch_.resize(bytes);
  }
}

// An empty slice is one empty segment: whoever awaits a slice hears of its sender's call.
std::uint32_t SegmentExchange::segments(const Range& slice) const {
  return static_cast<std::uint32_t>(
      std::max<std::int64_t>(1, (slice.size() + segment_elements_ - 1) / segment_elements_));
}

Range SegmentExchange::segment(const Range& slice, std::uint32_t index) const {
  const std::int64_t begin =
      std::min(slice.end, slice.begin + static_cast<std::int64_t>(index) * segment_elements_);
  return {begin, std::min(slice.end, begin + segment_elements_)};
}

Stretches SegmentExchange::stretches(const Parts& parts, const Range& range) const {
  Stretches list;
  parts.visit(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()),
              [&](std::byte* memory, std::size_t elements, std::size_t) {
                list.push_back({memory, elements * element_});
              });
  return list;
}

std::byte* SegmentExchange::slot(int from, std::uint32_t index) {
  return scratch_.data() +
         (static_cast<std::size_t>(from) * kWindow + index % kWindow) * kSegmentBytes;
}

bool SegmentExchange::gives(int rank) const {
  return std::find(plan_.givers.begin(), plan_.givers.end(), rank) != plan_.givers.end();
}

void SegmentExchange::send_slice(int to, FrameKind kind, const Parts& parts, const Range& slice) {
  for (std::uint32_t index = 0; index < segments(slice); ++index) {
    const Range range = segment(slice, index);
    const auto bytes = static_cast<std::size_t>(range.size()) * element_;
    links_.queue(to, links_.header(round_, kind, index, bytes), stretches(parts, range));
  }
}

void SegmentExchange::start() {
  for (int step = 1; step < size_; ++step) {
    const int peer = (rank_ + step) % size_;
    if (plan_.first_phase) {
      send_slice(peer, FrameKind::first_phase, *plan_.in, plan_.in_slice(peer));
    } else if (gives(rank_)) {
      send_slice(peer, FrameKind::second_phase, *plan_.out, plan_.out_slice(rank_));
    } else if (gives(peer)) {
      links_.queue(peer, links_.header(round_, FrameKind::arrival, 0, 0), {});
    }
  }
}

bool SegmentExchange::place(int from, const FrameHeader& header, Stretches& where) {
  if (header.kind == FrameKind::first_phase && plan_.first_phase) {
    if (header.index != contributed_[from]) return true;  // no room: the links refuse it
    if (header.index >= reduced_ + kWindow) return false;
    const Range range = segment(plan_.in_slice(rank_), header.index);
    where = {{slot(from, header.index), static_cast<std::size_t>(range.size()) * element_}};
  } else if (header.kind == FrameKind::second_phase && gives(from)) {
    where = stretches(*plan_.out, segment(plan_.out_slice(from), header.index));
  }
  return true;
}

void SegmentExchange::arrived(int from, const FrameHeader& header) {
  switch (header.kind) {
    case FrameKind::first_phase:
      ++contributed_[from];
      reduce_ready();
      return;
    case FrameKind::second_phase:
      ++given_[from];
      return;
    case FrameKind::arrival:
      announced_[from] = true;
      return;
    case FrameKind::numbered:
    case FrameKind::message:
    case FrameKind::waiting:
    case FrameKind::leaving:
      return;
  }
}

bool SegmentExchange::awaits(int from) const {
  if (from == rank_) return false;
  if (plan_.first_phase && contributed_[from] < segments(plan_.in_slice(rank_))) return true;
  if (gives(from)) return given_[from] < segments(plan_.out_slice(from));
  // A giver of a broadcast hears from all, so that their calls are compared.
  return !plan_.first_phase && gives(rank_) && !announced_[from];
}

void SegmentExchange::reduce_ready() {
  const Range in_slice = plan_.in_slice(rank_);
  const Range out_slice = plan_.out_slice(rank_);
  const auto ready = [&] {
    for (int rank = 0; rank < size_; ++rank) {
      if (rank != rank_ && contributed_[rank] <= reduced_) return false;
    }
    return reduced_ < segments(in_slice);
  };
  for (; ready(); ++reduced_) {
    const Range range = segment(in_slice, reduced_);
    const Range result = segment(out_slice, reduced_);
    plan_.in->visit(
        range.begin, range.size(), [&](std::byte* own, std::size_t count, std::size_t before) {
          for (int rank = 0; rank < size_; ++rank) {
            sources_[rank] = rank == rank_ ? own : slot(rank, reduced_) + before * element_;
          }
          plan_.out->visit(result.begin + before, count,
                           [&](std::byte* out, std::size_t, std::size_t) {
                             plan_.reduce(sources_, {&out, 1}, count);
                           });
        });
    if (!gives(rank_)) continue;
    const auto bytes = static_cast<std::size_t>(result.size()) * element_;
    for (int step = 1; step < size_; ++step) {
      links_.queue((rank_ + step) % size_,
                   links_.header(round_, FrameKind::second_phase, reduced_, bytes),
                   stretches(*plan_.out, result));
    }
  }
}

void RunFrames::start() {
  for (std::size_t peer = 0; peer < meeting_.tells.size(); ++peer) {
    if (!meeting_.tells[peer]) continue;
    links_.queue(static_cast<int>(peer), links_.header(round_, FrameKind::arrival, 0, 0), {});
  }
  send_ready();
}

bool RunFrames::place(int from, const FrameHeader& header, Stretches& where) {
  // A frame of another number gets no room: the links refuse it.
  if (header.kind == FrameKind::numbered) where = run_.place(from, header.index);
  return true;
}

void RunFrames::arrived(int from, const FrameHeader& header) {
  if (header.kind == FrameKind::arrival) {
    to_hear_[from] = false;
    return;
  }
  run_.arrived(from, header.index);
  send_ready();
}

void RunFrames::send_ready() {
  run_.send_ready([&](int to, std::uint32_t number, Stretches payload) {
    std::size_t bytes = 0;
    for (const iovec& stretch : payload) bytes += stretch.iov_len;
    links_.queue(to, links_.header(round_, FrameKind::numbered, number, bytes), std::move(payload));
  });
}

}  // namespace shoal

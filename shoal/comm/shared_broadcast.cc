// Broadcast of SharedGroup: only the root is waited for, and it waits for nobody while there is
// room, so that ranks that share a core run long before they change places.
//
// Cost: up to RegionShape::kNoticeBytes one step line or notice of the root; then chunks of its
// staging memory, S written and S read by each. From memory of the root's arena S read by each.
// Memory that all have from allocate(), from kTogetherBytes on: all copy alike, (n-1)/n S each.
#include <algorithm>
#include <cstring>

#include "shoal/comm/shared_round.h"
#include "shoal/core/large_copy.h"

namespace shoal {
namespace {

constexpr std::size_t kTogetherBytes = std::size_t{1} << 20;

// What the root says with its first chunk.
struct Begin {
  std::uint64_t place = 0;  // in its arena: no chunks
  std::uint64_t chunk = 0;  // bytes
};

}  // namespace

void SharedGroup::broadcast(Buffer data, int root, Deadline deadline) {
  check_root(Operation::broadcast, root, size_);
  const Parts whole(std::span<const Buffer>(&data, 1));  // refuses what has no memory
  const Round round(*this, deadline,
                    {.operation = Operation::broadcast,
                     .type = data.type,
                     .root = root,
                     .elements = data.elements});
  if (size_ == 1) return;
  const std::size_t bytes = data.bytes();
  if (spec_.rank == root) {
    look_around(round);
    bytes_sent_.fetch_add(bytes * (size_ - 1), std::memory_order_relaxed);
  }
  if (bytes <= RegionShape::kNoticeBytes) return broadcast_notice(round, data, root);
  if (bytes >= kTogetherBytes) {
    show_stretches(round, whole);
    publish(round);
    await_step(round);
    keep_common_stretches();
    if (!common_.empty()) return broadcast_together(round, data, root);
  }
  broadcast_chunks(round, data, root);
}

// Who waits for nobody would not notice that somebody is gone.
void SharedGroup::look_around(const Round& round) {
  if (steps_ % 4 != 0) return;  // the clock takes as long as a small broadcast
  const auto now = Deadline::Clock::now();
  if (now - looked_around_ < std::chrono::milliseconds(100)) return;
  looked_around_ = now;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != spec_.rank && wait_.is_hopeless(rank)) return await_step(round);
  }
}

void SharedGroup::broadcast_notice(const Round& round, Buffer data, int root) {
  const std::size_t bytes = data.bytes();
  const auto notice = [&](std::uint32_t step) {
    return bytes <= StepLine::kInlineBytes ? region().line(root, step).payload
                                           : region().notice(root, step);
  };
  if (spec_.rank == root) {
    await_room(round);
    if (bytes != 0) std::memcpy(notice(steps_ + 1), data.data, bytes);
  }
  publish(round);
  if (spec_.rank == root) return;
  await_step_of(round, root);
  if (bytes != 0) std::memcpy(data.data, notice(steps_), bytes);
}

void SharedGroup::broadcast_chunks(const Round& round, Buffer data, int root) {
  const std::size_t bytes = data.bytes();
  const bool past_caches = outgrows_caches(bytes * size_);
  Begin begin;
  if (spec_.rank == root) {
    begin.place = arena_->place_of(data.data, bytes);
    // Several chunks, so that the root fills one while the others take the one before; with more
    // ranks than cores steps are what costs.
    constexpr std::size_t kLeast = std::size_t{16} << 10;
    begin.chunk = spec_.patience.spins()
                      ? std::clamp(bytes / 8 / kLeast * kLeast, kLeast, RegionShape::kChunkBytes)
                      : RegionShape::kChunkBytes;
  }
  for (std::size_t at = 0; at < bytes; at += begin.chunk) {
    if (spec_.rank == root) {
      if (at == 0) std::memcpy(own_payload(round, sizeof begin), &begin, sizeof begin);
      if (begin.place == 0) {
        await_staging(round, done_);
        std::memcpy(staging(root, done_), data.data + at, std::min(begin.chunk, bytes - at));
      }
    }
    publish(round);
    if (spec_.rank != root) {
      await_step_of(round, root);
      if (at == 0) std::memcpy(&begin, region().line(root, steps_).payload, sizeof begin);
    }
    if (begin.place != 0) break;
    if (spec_.rank != root) {
      take_staged(data.data + at, staging(root, done_), std::min(begin.chunk, bytes - at),
                  past_caches);
    }
    chunk_done();
  }
  if (begin.place == 0) return;
  if (spec_.rank != root) {
    copy_out(data.data, region().arena(root) + (begin.place - 1), bytes, past_caches);
    wait_.require_not_ended(root, round, round.deadline);
  }
  chunk_done();
  if (spec_.rank == root) await_done(round, done_);
}

// Each rank's buffer is cut in n parts: the root writes part `root` of all, the others the rest of
// their own. So one that would look on copies too.
void SharedGroup::broadcast_together(const Round& round, Buffer data, int root) {
  const std::size_t bytes = data.bytes();
  const bool past_caches = outgrows_caches(bytes * size_);
  const Range helped = part_of(static_cast<std::int64_t>(bytes), size_, root);
  const auto begin = static_cast<std::size_t>(helped.begin);
  const auto end = static_cast<std::size_t>(helped.end);
  const std::byte* const from = place_of(0, root);
  if (spec_.rank == root) {
    for_others([&](int rank) {
      copy_out(place_of(0, rank) + begin, from + begin, end - begin, past_caches);
    });
  } else {
    copy_out(data.data, from, begin, past_caches);
    copy_out(data.data + end, from + end, bytes - end, past_caches);
  }
  chunk_done();
  await_done(round, done_);
}

}  // namespace shoal

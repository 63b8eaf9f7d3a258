// The operations of SharedGroup that go through staging memory, chunk by chunk.
//
// Chunks are numbered since the group began; chunk c lies in half c mod 2 of each rank's staging
// memory. `done` of a rank counts the chunks with which it has finished, in its own and in the
// others' staging memory.
#include <cstring>

#include "shoal/comm/shared_round.h"

namespace shoal {

// Chunk c takes the place of chunk c - 2, with which everybody must have finished.
void SharedGroup::await_staging(const Round& round, std::uint32_t chunk) {
  await_done(round, chunk - 1);
}

void SharedGroup::await_done(const Round& round, std::uint32_t chunks) {
  round.awaited_done = chunks;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == spec_.rank) continue;
    wait_.until(region().state(rank).done, chunks, rank, round, round.deadline);
  }
}

// While the others fill their staging memory with one chunk, this rank fills the next.
void SharedGroup::reduce_chunks(const Round& round, const Cut& cut, const Parts& in,
                                const Parts* out) {
  const ArenaPlace place = arena_->place_of(in.in_one_piece(), in.bytes());
  if (place == 0) stage_early(round, cut, in, 0);
  show_place(place);
  publish(round);
  for (std::size_t chunk = 0; chunk < cut.chunks(); ++chunk) {
    const bool more = chunk + 1 < cut.chunks();
    if (more && (chunk != 0 || place == 0)) stage_early(round, cut, in, chunk + 1);
    await_step(round);
    if (chunk == 0) {
      const int in_arenas = count_places();
      if (in_arenas == size_) return reduce_in_place(round, in, out);
      if (in_arenas != 0) settle_on_staging(round, cut, in, place != 0);
    }
    if (more) publish(round);
    const std::uint32_t number = done_;
    reduce_slice(round, cut, chunk, in, out);
    chunk_done();
    if (out != nullptr) continue;
    await_done(round, done_);
    const std::byte* const own = staging(spec_.rank, number);
    for (int owner = 0; owner < size_; ++owner) {
      if (owner == spec_.rank) continue;
      const Slice slice = cut.slice(chunk, owner);
      in.scatter(own + slice.offset, slice.begin, slice.count);
    }
  }
}

// The chunk under way or the next.
void SharedGroup::stage_early(const Round& round, const Cut& cut, const Parts& in,
                              std::size_t chunk) {
  const std::uint32_t number = chunk == 0 ? done_ : done_ + 1;
  await_staging(round, number);
  stage(cut, in, chunk, number);
}

void SharedGroup::settle_on_staging(const Round& round, const Cut& cut, const Parts& in,
                                    bool is_in_arena) {
  if (is_in_arena) {
    stage_early(round, cut, in, 0);
    if (cut.chunks() > 1) stage_early(round, cut, in, 1);
  }
  publish(round);
  await_step(round);
}

// Copies the slices that others reduce.
void SharedGroup::stage(const Cut& cut, const Parts& in, std::size_t chunk, std::uint32_t number) {
  std::byte* const own = staging(spec_.rank, number);
  std::size_t bytes = 0;
  for (int owner = 0; owner < size_; ++owner) {
    if (owner == spec_.rank) continue;
    const Slice slice = cut.slice(chunk, owner);
    in.gather(slice.begin, slice.count, own + slice.offset);
    bytes += slice.count * cut.element();
  }
  bytes_sent_.fetch_add(bytes, std::memory_order_relaxed);
}

// The sum goes to this rank's memory and over the others' contributions: for all_reduce that is
// where they take it from; for reduce_scatter it keeps the cache lines migrating (see the header).
void SharedGroup::reduce_slice(const Round& round, const Cut& cut, std::size_t chunk,
                               const Parts& in, const Parts* out) {
  const Slice slice = cut.slice(chunk, spec_.rank);
  in.visit(slice.begin, slice.count, [&](std::byte* own, std::size_t count, std::size_t before) {
    const std::size_t skipped = before * cut.element();
    std::size_t outputs = 0;
    outputs_[outputs++] = own;
    for (int rank = 0; rank < size_; ++rank) {
      if (rank == spec_.rank) {
        sources_[rank] = own;
        continue;
      }
      std::byte* const theirs = staging(rank, done_) + slice.offset + skipped;
      sources_[rank] = theirs;
      outputs_[outputs++] = theirs;
    }
    if (out != nullptr) {
      out->visit(cut.output_begin(chunk) + before, count,
                 [&](std::byte* memory, std::size_t, std::size_t) { outputs_[0] = memory; });
    }
    round.reduce(sources_, outputs_, count);
  });
  if (out == nullptr) {
    bytes_sent_.fetch_add(slice.count * cut.element() * (size_ - 1), std::memory_order_relaxed);
  }
}

void SharedGroup::take_staged(std::byte* to, std::byte* staged, std::size_t bytes) const {
  if (size_ == 2) return take_over(to, staged, bytes);
  std::memcpy(to, staged, bytes);  // others read it too
}

void SharedGroup::show_place(ArenaPlace place) {
  std::memcpy(next_line().payload, &place, sizeof place);
}

int SharedGroup::count_places() {
  int count = 0;
  for (int rank = 0; rank < size_; ++rank) {
    std::memcpy(&places_[rank], region().state(rank).steps[steps_ & 1].payload,
                sizeof places_[rank]);
    count += places_[rank] != 0 ? 1 : 0;
  }
  return count;
}

// Slices begin at cache lines, so that none is written by two ranks.
void SharedGroup::reduce_in_place(const Round& round, const Parts& in, const Parts* out) {
  const std::size_t element = size_of(in.type());
  const auto line = static_cast<std::int64_t>(std::max<std::size_t>(1, 64 / element));
  const auto elements = static_cast<std::int64_t>(in.elements());
  const Range lines = part_of((elements + line - 1) / line, size_, spec_.rank);
  Range own{std::min(elements, lines.begin * line), std::min(elements, lines.end * line)};
  if (out != nullptr) own = part_of(elements, size_, spec_.rank);
  for (int rank = 0; rank < size_; ++rank) {
    std::byte* const slice = place_of(rank) + static_cast<std::size_t>(own.begin) * element;
    sources_[rank] = slice;
    outputs_[rank] = slice;
  }
  const auto count = static_cast<std::size_t>(own.size());
  if (out == nullptr) {
    round.reduce(sources_, outputs_, count);
  } else {
    out->visit(0, count, [&](std::byte* memory, std::size_t here, std::size_t) {
      round.reduce(sources_, {&memory, 1}, here);
    });
  }
  // What others read here counts as sent, as if it had been staged.
  const std::size_t sent =
      in.bytes() - count * element + (out == nullptr ? count * element * (size_ - 1) : 0);
  bytes_sent_.fetch_add(sent, std::memory_order_relaxed);
  chunk_done();
  await_done(round, done_);
}

void SharedGroup::gather_in_place(const Round& round, Buffer out, std::size_t bytes) {
  for (int step = 1; step < size_; ++step) {
    const int peer = (spec_.rank + step) % size_;
    std::memcpy(out.data + bytes * static_cast<std::size_t>(peer), place_of(peer), bytes);
  }
  chunk_done();
  await_done(round, done_);
}

void SharedGroup::broadcast(Buffer data, int root, Deadline deadline) {
  check_root(Operation::broadcast, root, size_);
  const Parts parts(std::span<const Buffer>(&data, 1));
  const Round round(*this, deadline,
                    {.operation = Operation::broadcast,
                     .type = data.type,
                     .root = root,
                     .elements = data.elements});
  if (size_ == 1) return;
  const std::size_t bytes = data.bytes();
  if (spec_.rank == root) {
    bytes_sent_.fetch_add(bytes * (size_ - 1), std::memory_order_relaxed);
  }
  if (bytes <= RegionShape::kSmallBytes) {
    if (spec_.rank == root && bytes != 0) {
      std::memcpy(payload(root, bytes, steps_ + 1), data.data, bytes);
    }
    publish(round);
    await_step(round);
    if (spec_.rank != root && bytes != 0) {
      std::memcpy(data.data, payload(root, bytes, steps_), bytes);
    }
    return;
  }
  show_place(arena_->place_of(data.data, bytes));
  publish(round);
  await_step(round);
  count_places();
  if (places_[root] != 0) {
    if (spec_.rank != root) std::memcpy(data.data, place_of(root), bytes);
    chunk_done();
    if (spec_.rank == root) await_done(round, done_);
    return;
  }
  // Several chunks, so that the root fills one while the others take the one before.
  constexpr std::size_t kLeast = std::size_t{16} << 10;
  const std::size_t chunk =
      std::clamp(bytes / 8 / kLeast * kLeast, kLeast, RegionShape::kChunkBytes);
  for (std::size_t begin = 0; begin < bytes; begin += chunk) {
    const std::size_t here = std::min(chunk, bytes - begin);
    if (spec_.rank == root) {
      await_staging(round, done_);
      std::memcpy(staging(root, done_), data.data + begin, here);
    }
    publish(round);
    await_step(round);
    if (spec_.rank != root) take_staged(data.data + begin, staging(root, done_), here);
    chunk_done();
  }
}

void SharedGroup::all_gather(ConstBuffer in, Buffer out, Deadline deadline) {
  check_all_gather(in, out, size_);
  const Round round(*this, deadline,
                    {.operation = Operation::all_gather, .type = in.type, .elements = in.elements});
  const std::size_t bytes = in.bytes();
  std::byte* const own = out.data + bytes * static_cast<std::size_t>(spec_.rank);
  if (bytes != 0 && own != in.data) std::memmove(own, in.data, bytes);
  if (size_ == 1) return;
  bytes_sent_.fetch_add(bytes * (size_ - 1), std::memory_order_relaxed);
  const bool small = bytes <= RegionShape::kSmallBytes;
  if (!small) {
    show_place(arena_->place_of(in.data, bytes));
    publish(round);
    await_step(round);
    if (count_places() == size_) return gather_in_place(round, out, bytes);
  }
  const std::size_t step_bytes = small ? bytes : RegionShape::kChunkBytes;
  std::size_t begin = 0;
  do {
    const std::size_t here = std::min(step_bytes, bytes - begin);
    if (!small) await_staging(round, done_);
    const auto place = [&](int rank, std::uint32_t step) {
      return small ? payload(rank, bytes, step) : staging(rank, done_);
    };
    if (here != 0) std::memcpy(place(spec_.rank, steps_ + 1), own + begin, here);
    publish(round);
    await_step(round);
    for (int peer = 0; peer < size_ && here != 0; ++peer) {
      if (peer == spec_.rank) continue;
      std::byte* const to = out.data + bytes * static_cast<std::size_t>(peer) + begin;
      if (small) {
        std::memcpy(to, place(peer, steps_), here);
      } else {
        take_staged(to, place(peer, steps_), here);
      }
    }
    if (!small) chunk_done();
    begin += here;
  } while (begin < bytes);
}

}  // namespace shoal

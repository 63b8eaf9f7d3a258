// The operations of SharedGroup that go through staging memory, chunk by chunk.
//
// Chunks are numbered since the group began; chunk c lies in half c mod 2 of each rank's staging
// memory. `done` of a rank counts the chunks with which it has finished, in its own and in the
// others' staging memory.
#include <cstring>

#include "shoal/comm/shared_round.h"
#include "shoal/core/large_copy.h"

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

void SharedGroup::reduce_large(const Round& round, const Parts& in, const Parts* out) {
  const Cut cut = out == nullptr ? Cut::of_vector(in, size_) : Cut::of_pieces(in, size_);
  const bool shows = show_stretches(round, in);
  if (shows) {
    publish(round);
    await_step(round);
  } else {
    begin_staging(round, cut, in, /*is_staged=*/false);
  }
  const bool anybody_shows = keep_common_stretches();
  if (!common_.empty()) {
    reduce_in_place(round, out);
    if (common_elements() != in.elements()) reduce_rest(round, in);
    return;
  }
  // Some vectors lie in arenas and some do not: those that do are staged after all.
  if (anybody_shows) {
    begin_staging(round, cut, in, /*is_staged=*/!shows);
  }
  reduce_chunks(round, cut, in, out);
}

void SharedGroup::begin_staging(const Round& round, const Cut& cut, const Parts& in,
                                bool is_staged) {
  if (!is_staged) stage_early(round, cut, in, 0);
  publish(round);
  if (!is_staged && cut.chunks() > 1) stage_early(round, cut, in, 1);
  await_step(round);
}

// The first chunk is there. While the others fill their staging memory with one chunk, this rank
// fills the next.
void SharedGroup::reduce_chunks(const Round& round, const Cut& cut, const Parts& in,
                                const Parts* out) {
  for (std::size_t chunk = 0; chunk < cut.chunks(); ++chunk) {
    const bool more = chunk + 1 < cut.chunks();
    if (chunk != 0) {
      if (more) stage_early(round, cut, in, chunk + 1);
      await_step(round);
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

void SharedGroup::stage_early(const Round& round, const Cut& cut, const Parts& in,
                              std::size_t chunk) {
  const std::uint32_t number = chunk == 0 ? done_ : done_ + 1;
  await_staging(round, number);
  stage(cut, in, chunk, number);
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

void SharedGroup::take_staged(std::byte* to, std::byte* staged, std::size_t bytes,
                              bool past_caches) const {
  const bool reads_alone = size_ == 2;
  if (past_caches) {
    copy_past_caches(to, staged, bytes);
    if (reads_alone) make_own(staged, bytes);
  } else if (reads_alone) {
    take_over(to, staged, bytes);
  } else {
    std::memcpy(to, staged, bytes);
  }
}

void SharedGroup::all_gather(ConstBuffer in, Buffer out, Deadline deadline) {
  check_all_gather(in, out, size_);
  const Round round(*this, deadline,
                    {.operation = Operation::all_gather, .type = in.type, .elements = in.elements});
  const std::size_t bytes = in.bytes();
  const auto piece = [&](int rank) {
    return Buffer{out.data + bytes * static_cast<std::size_t>(rank), in.elements, in.type};
  };
  if (bytes > RegionShape::kSmallBytes && size_ > 1) {
    const std::vector<ConstBuffer> given(static_cast<std::size_t>(size_), in);
    std::vector<Buffer> taken(given.size(), out);
    for (int rank = 0; rank < size_; ++rank) taken[rank] = piece(rank);
    return hand_over(round, given, taken);
  }
  std::byte* const own = piece(spec_.rank).data;
  if (bytes != 0 && own != in.data) std::memmove(own, in.data, bytes);
  if (size_ == 1) return;
  bytes_sent_.fetch_add(bytes * (size_ - 1), std::memory_order_relaxed);
  if (bytes != 0) std::memcpy(own_payload(round, bytes), own, bytes);
  publish(round);
  await_step(round);
  for_others([&](int peer) {
    if (bytes != 0) std::memcpy(piece(peer).data, payload(peer, bytes), bytes);
  });
}

}  // namespace shoal

// What ranks hand to each other without sums (gather, scatter, all-to-all) through a region. With
// the first step goes a table of the sizes that a rank gives, so that those that do not fit have
// names. What is small goes with it; else the takers copy it from the giver's arena, or chunk by
// chunk from its staging memory.
#include <algorithm>
#include <cstring>

#include "shoal/comm/shared_round.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

// The table: one word about the way, then the elements for each rank, then, in_place, where they
// lie in the giver's arena.
constexpr std::size_t kWord = sizeof(std::uint64_t);
std::size_t table_bytes(int size) { return (1 + static_cast<std::size_t>(size)) * kWord; }

std::uint64_t word_at(const std::byte* table, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, table + index * kWord, kWord);
  return word;
}

void put_word(std::byte* table, std::size_t index, std::uint64_t word) {
  std::memcpy(table + index * kWord, &word, kWord);
}

std::size_t chunks_of(std::size_t bytes, std::size_t stretch) {
  return (bytes + stretch - 1) / stretch;
}

}  // namespace

SharedGroup::Giving SharedGroup::own_giving(const Call& call, std::span<const ConstBuffer> in) {
  Giving own;
  own.once = call.operation == Operation::all_gather_lists;
  std::size_t bytes = 0, longest = 0, takers = 0;
  bool in_arena = true;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == spec_.rank || in[rank].elements == 0) continue;
    bytes += in[rank].bytes();
    longest = std::max(longest, in[rank].bytes());
    ++takers;
    in_arena &= arena_->place_of(in[rank].data, in[rank].bytes()) != 0;
  }
  bytes_sent_.fetch_add(bytes, std::memory_order_relaxed);
  const std::size_t places = table_bytes(size_) + static_cast<std::size_t>(size_) * kWord;
  if (small_data_at() + (own.once ? longest : bytes) <= RegionShape::kSmallBytes) return own;
  if (in_arena && places <= RegionShape::kSmallBytes) {
    own.way = Giving::Way::in_place;
    return own;
  }
  own.way = Giving::Way::staged;
  // With more ranks than cores steps are what costs.
  const std::size_t chunk =
      spec_.patience.spins() ? Cut::chunk_bytes(bytes) : RegionShape::kChunkBytes;
  own.stretch = own.once ? chunk : chunk / takers / 64 * 64;
  own.chunks = chunks_of(longest, own.stretch);
  return own;
}

std::size_t SharedGroup::small_data_at() const {
  const std::size_t table = table_bytes(size_);
  return table <= StepLine::kInlineBytes ? 0 : table;
}

void SharedGroup::show_giving(const Round& round, const Giving& own,
                              std::span<const ConstBuffer> in) {
  std::byte* const table = own_payload(round, table_bytes(size_));
  put_word(table, 0, own.packed());
  std::byte* data = own_small_slot(round) + small_data_at();
  for (int rank = 0; rank < size_; ++rank) {
    put_word(table, 1 + rank, in[rank].elements);
    if (rank == spec_.rank || in[rank].elements == 0 || own.way == Giving::Way::staged) continue;
    if (own.way == Giving::Way::in_place) {
      put_word(data, rank, arena_->place_of(in[rank].data, in[rank].bytes()));
      continue;
    }
    std::memcpy(data, in[rank].data, in[rank].bytes());
    if (!own.once) data += in[rank].bytes();
  }
}

// Of the step that all have published.
SharedGroup::Giving SharedGroup::giving_of(int giver, const Call& call) {
  const std::byte* const table = payload(giver, table_bytes(size_));
  const std::size_t element = size_of(call.type);
  Giving theirs;
  theirs.way = static_cast<Giving::Way>(word_at(table, 0) & 3);
  theirs.stretch = word_at(table, 0) >> 2;
  theirs.once = call.operation == Operation::all_gather_lists;
  theirs.elements = word_at(table, 1 + spec_.rank);
  const bool staged = theirs.way == Giving::Way::staged;
  for (int taker = 0; taker < size_; ++taker) {
    const std::size_t bytes = word_at(table, 1 + taker) * element;
    if (taker == giver || bytes == 0) continue;
    if (staged) theirs.chunks = std::max(theirs.chunks, chunks_of(bytes, theirs.stretch));
    if (taker < spec_.rank && !theirs.once) theirs.offset += staged ? theirs.stretch : bytes;
  }
  if (theirs.way == Giving::Way::in_place && theirs.elements != 0) {
    theirs.place = word_at(small_slot(giver) + small_data_at(), spec_.rank);
  }
  return theirs;
}

void SharedGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                           std::span<const Buffer> out, Deadline deadline) {
  const Round round(*this, deadline, call);
  check(table_bytes(size_) <= RegionShape::kSmallBytes,
        "a group on one host has at most 255 ranks");
  const Giving own = own_giving(call, in);
  show_giving(round, own, in);
  if (own.way == Giving::Way::staged) stage_pieces(round, own, in, 0);
  publish(round);
  await_step(round);
  // Where small data lies is then on its way from all ranks at once.
  for_others([&](int giver) { __builtin_prefetch(small_slot(giver) + small_data_at()); });
  givings_.clear();
  for (int giver = 0; giver < size_; ++giver) {
    const Giving& theirs = givings_.emplace_back(giving_of(giver, call));
    if (theirs.elements == out[giver].elements) continue;
    wait_.fail(Ending::mismatch, giver,
               sizes_differ(round.place(), giver, theirs.elements, spec_.rank, out[giver]));
  }
  if (out[spec_.rank].elements != 0 && out[spec_.rank].data != in[spec_.rank].data) {
    std::memmove(out[spec_.rank].data, in[spec_.rank].data, in[spec_.rank].bytes());
  }
  take_what_is_there(out);
  take_staged_pieces(round, in, out);
  const bool in_place = std::any_of(givings_.begin(), givings_.end(), [](const Giving& giving) {
    return giving.way == Giving::Way::in_place;
  });
  if (!in_place) return;
  chunk_done();
  if (own.way == Giving::Way::in_place) await_done(round, done_);
}

void SharedGroup::take_what_is_there(std::span<const Buffer> out) {
  for_others([&](int giver) {
    const Giving& theirs = givings_[giver];
    if (theirs.elements == 0 || theirs.way == Giving::Way::staged) return;
    const std::byte* const from = theirs.way == Giving::Way::in_place
                                      ? region().arena(giver) + (theirs.place - 1)
                                      : small_slot(giver) + small_data_at() + theirs.offset;
    std::memcpy(out[giver].data, from, out[giver].bytes());
  });
}

// The next chunk is shown before this one is taken.
void SharedGroup::take_staged_pieces(const Round& round, std::span<const ConstBuffer> in,
                                     std::span<const Buffer> out) {
  std::size_t chunks = 0;
  for (const Giving& giving : givings_) chunks = std::max(chunks, giving.chunks);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    if (chunk != 0) await_step(round);
    if (chunk + 1 < chunks) {
      if (chunk + 1 < givings_[spec_.rank].chunks) {
        stage_pieces(round, givings_[spec_.rank], in, chunk + 1);
      }
      publish(round);
    }
    for_others([&](int giver) {
      const Giving& theirs = givings_[giver];
      const std::size_t begin = chunk * theirs.stretch;
      if (theirs.way != Giving::Way::staged || begin >= out[giver].bytes()) return;
      const std::size_t bytes = std::min(theirs.stretch, out[giver].bytes() - begin);
      take_staged(out[giver].data + begin, staging(giver, done_) + theirs.offset, bytes);
    });
    chunk_done();
  }
}

// The first chunk of a call, or the one after that which is under way.
void SharedGroup::stage_pieces(const Round& round, const Giving& own,
                               std::span<const ConstBuffer> in, std::size_t chunk) {
  const std::uint32_t number = chunk == 0 ? done_ : done_ + 1;
  await_staging(round, number);
  std::byte* to = staging(spec_.rank, number);
  const std::size_t begin = chunk * own.stretch;
  for (int taker = 0; taker < size_; ++taker) {
    if (taker == spec_.rank || in[taker].elements == 0) continue;
    if (begin < in[taker].bytes()) {
      std::memcpy(to, in[taker].data + begin, std::min(own.stretch, in[taker].bytes() - begin));
    }
    if (own.once) return;
    to += own.stretch;
  }
}

}  // namespace shoal

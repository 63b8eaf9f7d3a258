// What ranks hand to each other without sums (all-gather, gather, scatter, all-to-all) through a
// region. With the first step goes a table of the sizes that a rank gives, so that those that do
// not fit have names. What is small goes with it; else the takers copy it from the giver's arena,
// or chunk by chunk from its staging memory.
//
// Cost: one step when small; in an arena one step and one "done", and every byte is copied once;
// staged one step a chunk, and every byte is copied twice. Reading a peer's own memory instead
// (process_vm_readv) was measured: with pages of 4 KiB it is no faster, and slower with more ranks
// than cores.
#include <algorithm>
#include <cstring>

#include "shoal/comm/shared_round.h"
#include "shoal/core/check.h"
#include "shoal/core/large_copy.h"

namespace shoal {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
T loaded(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// One piece for all takers.
bool gives_one_piece(const Call& call) {
  return call.operation == Operation::all_gather || call.operation == Operation::all_gather_lists;
}

std::size_t chunks_of(std::size_t bytes, std::size_t stretch) {
  return (bytes + stretch - 1) / stretch;
}

// The sizes that a rank gives, by taker: two bytes each when all is small, else eight. With what
// goes beside them they lie behind the first word of the step's line as far as there is room, and
// then in the small slot.
class Table {
 public:
  Table(int size, bool narrow)
      : bytes_(static_cast<std::size_t>(size) * (narrow ? sizeof(std::uint16_t) : kWord)),
        narrow_(narrow) {}
  bool needs_slot(std::size_t beside) const {
    return kWord + bytes_ + beside > StepLine::kInlineBytes;
  }
  bool fits(std::size_t beside) const {
    return !needs_slot(beside) || (is_in_line() ? 0 : bytes_) + beside <= RegionShape::kSmallBytes;
  }

  // The slot is not looked at when nothing lies there.
  void lies_at(std::byte* line, std::byte* slot) {
    line_ = line + kWord;
    slot_ = slot;
  }
  void put(int taker, std::uint64_t elements) const {
    if (!narrow_) return store(sizes() + taker * kWord, elements);
    store(sizes() + taker * sizeof(std::uint16_t), static_cast<std::uint16_t>(elements));
  }
  std::uint64_t at(int taker) const {
    if (!narrow_) return loaded<std::uint64_t>(sizes() + taker * kWord);
    return loaded<std::uint16_t>(sizes() + taker * sizeof(std::uint16_t));
  }
  std::byte* beside(std::size_t bytes) const {
    if (!needs_slot(bytes)) return line_ + bytes_;
    return slot_ + (is_in_line() ? 0 : bytes_);
  }

 private:
  bool is_in_line() const { return kWord + bytes_ <= StepLine::kInlineBytes; }
  std::byte* sizes() const { return is_in_line() ? line_ : slot_; }

  std::size_t bytes_;
  bool narrow_;
  std::byte* line_ = nullptr;
  std::byte* slot_ = nullptr;
};

}  // namespace

SharedGroup::Giving SharedGroup::own_giving(const Call& call, std::span<const ConstBuffer> in) {
  Giving own;
  const bool one_piece = gives_one_piece(call);
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
  own.bytes = one_piece ? longest : bytes;
  if (Table(size_, /*narrow=*/true).fits(own.bytes)) return own;
  if (in_arena && Table(size_, /*narrow=*/false).fits(static_cast<std::size_t>(size_) * kWord)) {
    own.way = Giving::Way::in_arena;
    return own;
  }
  own.way = Giving::Way::staged;
  // Chunks that stay in a core's own cache; with more ranks than cores steps are what costs.
  constexpr std::size_t kInCache = std::size_t{128} << 10;
  const std::size_t chunk = spec_.patience.spins() ? std::min(Cut::chunk_bytes(own.bytes), kInCache)
                                                   : RegionShape::kChunkBytes;
  own.stretch = one_piece ? chunk : chunk / std::max<std::size_t>(takers, 1) / 64 * 64;
  own.chunks = chunks_of(longest, own.stretch);
  return own;
}

void SharedGroup::show_giving(const Round& round, const Giving& own,
                              std::span<const ConstBuffer> in) {
  std::byte* const line = own_payload(round, kWord);
  Table table(size_, own.way == Giving::Way::small);
  const std::size_t bytes_beside = own.bytes_beside(size_);
  table.lies_at(line, table.needs_slot(bytes_beside) ? own_small_slot(round) : nullptr);
  store(line, own.packed());
  std::byte* data = table.beside(bytes_beside);
  for (int rank = 0; rank < size_; ++rank) {
    const bool given = rank != spec_.rank && in[rank].elements != 0;
    table.put(rank, given ? in[rank].elements : 0);
    if (!given || own.way == Giving::Way::staged) continue;
    if (own.way == Giving::Way::in_arena) {
      store(data + rank * kWord, arena_->place_of(in[rank].data, in[rank].bytes()));
    } else {
      std::memcpy(data, in[rank].data, in[rank].bytes());
      if (!gives_one_piece(round.call)) data += in[rank].bytes();
    }
  }
}

// Of the step that all have published.
SharedGroup::Giving SharedGroup::giving_of(int giver, const Call& call) {
  std::byte* const line = region().line(giver, steps_).payload;
  Giving theirs = Giving::unpacked(loaded<std::uint64_t>(line));
  Table table(size_, theirs.way == Giving::Way::small);
  table.lies_at(line, small_slot(giver));
  const bool staged = theirs.way == Giving::Way::staged;
  const std::size_t element = size_of(call.type);
  for (int taker = 0; taker < size_; ++taker) {
    const std::size_t bytes = table.at(taker) * element;
    if (taker == giver || bytes == 0) continue;
    if (staged) theirs.chunks = std::max(theirs.chunks, chunks_of(bytes, theirs.stretch));
    if (gives_one_piece(call)) {
      theirs.bytes = bytes;
      continue;
    }
    theirs.bytes += bytes;
    if (taker < spec_.rank) theirs.offset += staged ? theirs.stretch : bytes;
  }
  theirs.elements = table.at(spec_.rank);
  const std::byte* const beside = table.beside(theirs.bytes_beside(size_));
  if (theirs.way == Giving::Way::small) theirs.data = beside + theirs.offset;
  if (theirs.way == Giving::Way::in_arena)
    theirs.place = loaded<std::uint64_t>(beside + spec_.rank * kWord);
  return theirs;
}

void SharedGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                           std::span<const Buffer> out, Deadline deadline) {
  hand_over(Round(*this, deadline, call), in, out);
}

void SharedGroup::hand_over(const Round& round, std::span<const ConstBuffer> in,
                            std::span<const Buffer> out) {
  check(Table(size_, /*narrow=*/false).fits(0), "a group on one host has at most 256 ranks");
  const Giving own = own_giving(round.call, in);
  show_giving(round, own, in);
  if (own.way == Giving::Way::staged) stage_pieces(round, own, in, 0);
  publish(round);
  await_step(round);
  if (own.way == Giving::Way::small && Table(size_, /*narrow=*/true).needs_slot(own.bytes)) {
    // The others' is then on its way from all ranks at once.
    for_others([&](int giver) { __builtin_prefetch(small_slot(giver)); });
  }
  givings_.clear();
  for (int giver = 0; giver < size_; ++giver) {
    const Giving& theirs = givings_.emplace_back(giving_of(giver, round.call));
    const std::uint64_t given = giver == spec_.rank ? in[giver].elements : theirs.elements;
    if (given == out[giver].elements) continue;
    wait_.fail(Ending::mismatch, giver,
               sizes_differ(round.place(), giver, given, spec_.rank, out[giver]));
  }
  std::size_t bytes_out = 0;
  for (const Buffer& piece : out) bytes_out += piece.bytes();
  const std::size_t takers = round.call.operation == Operation::gather ? 1U : size_;
  const bool past_caches = outgrows_caches(bytes_out * takers);
  take_what_is_there(round, in, out, past_caches);
  take_staged_pieces(round, in, out, past_caches);
  if (std::none_of(givings_.begin(), givings_.end(),
                   [](const Giving& giving) { return giving.way == Giving::Way::in_arena; })) {
    return;
  }
  chunk_done();
  if (own.way == Giving::Way::in_arena) await_done(round, done_);
}

// A piece for all is copied by all at a time: it comes from memory once, into the cache they share.
// Else every rank begins with its own, so that not all read the same memory at once.
void SharedGroup::take_what_is_there(const Round& round, std::span<const ConstBuffer> in,
                                     std::span<const Buffer> out, bool past_caches) {
  const int first = gives_one_piece(round.call) ? 0 : spec_.rank;
  for (int step = 0; step < size_; ++step) {
    const int giver = (first + step) % size_;
    const Giving& theirs = givings_[giver];
    std::byte* const to = out[giver].data;
    const std::size_t bytes = out[giver].bytes();
    if (bytes == 0) continue;
    if (giver == spec_.rank) {
      if (to != in[giver].data) copy_out(to, in[giver].data, bytes, past_caches);
    } else if (theirs.way == Giving::Way::small) {
      std::memcpy(to, theirs.data, bytes);
    } else if (theirs.way == Giving::Way::in_arena) {
      copy_out(to, region().arena(giver) + (theirs.place - 1), bytes, past_caches);
      // One that failed meanwhile may have done other things with its memory.
      wait_.require_not_ended(giver, round, round.deadline);
    }
  }
}

// The next chunk is shown before this one is taken.
void SharedGroup::take_staged_pieces(const Round& round, std::span<const ConstBuffer> in,
                                     std::span<const Buffer> out, bool past_caches) {
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
      take_staged(out[giver].data + begin, staging(giver, done_) + theirs.offset, bytes,
                  past_caches);
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
    if (gives_one_piece(round.call)) return;
    to += own.stretch;
  }
}

}  // namespace shoal

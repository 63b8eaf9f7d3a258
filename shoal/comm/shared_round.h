// Private to SharedGroup: a collective under way, how its data is cut, and how ranks give it.
#pragma once

#include <algorithm>

#include "shoal/comm/checks.h"
#include "shoal/comm/shared_group.h"
#include "shoal/core/partition.h"

namespace shoal {

class SharedGroup::Round final : public Doing {
 public:
  Round(SharedGroup& group, Deadline until, const Call& made)
      : call(made),
        deadline(until),
        awaited_step(group.steps_),
        awaited_done(group.done_ - 1),
        group_(group) {
    group.wait_.rethrow_if_spent();
    group.remember(made.packed());
    if (made.operation == Operation::all_reduce || made.operation == Operation::reduce_scatter) {
      reduce = reduction_of(made.type, made.op);
    }
  }

  Place place() const override { return place_of(group_.calls_, call); }
  std::vector<int> absent() const override {
    std::vector<int> ranks;
    for (int rank = 0; rank < group_.size_; ++rank) {
      if (awaited_rank >= 0 && awaited_rank != rank) continue;
      if (!has_come(rank, awaited_step) ||
          !group_.region().state(rank).done.reached(awaited_done)) {
        ranks.push_back(rank);
      }
    }
    return ranks;
  }

  // By the lines of the last step that this rank has published, which are not written again before
  // it goes on. The calls may have differed earlier, where one did not have to wait for the other.
  std::optional<InvalidInput> difference() const override {
    std::uint64_t first = group_.calls_ + 1;
    for (int rank = 0; rank < group_.size_; ++rank) {
      if (has_come(rank, group_.steps_) && !agrees(rank)) {
        first = std::min(first, first_difference(rank));
      }
    }
    if (first > group_.calls_) return std::nullopt;
    std::vector<std::uint64_t> calls(static_cast<std::size_t>(group_.size_));
    for (int rank = 0; rank < group_.size_; ++rank) {
      if (!has_come(rank, group_.steps_)) continue;
      calls[rank] = made_by(agrees(rank) ? group_.spec_.rank : rank, first);
    }
    return calls_differ(place_of(first, Call::unpacked(made_by(group_.spec_.rank, first))), calls);
  }

  // Whether a rank that has come to the last published step has made the same calls up to there.
  bool agrees(int rank) const {
    return group_.region().line(rank, group_.steps_).calls ==
           group_.region().line(group_.spec_.rank, group_.steps_).calls;
  }

  const Call call;
  const Deadline deadline;
  Reduction reduce = nullptr;
  // What this rank waits for: a step, of one rank or (-1) of all, and the chunks with which the
  // others must have finished.
  mutable std::uint32_t awaited_step;
  mutable int awaited_rank = -1;
  mutable std::uint32_t awaited_done;

 private:
  Place place_of(std::uint64_t number, const Call& which) const {
    return {std::string(name_of(which.operation)), number, group_.spec_.name};
  }
  bool has_come(int rank, std::uint32_t step) const {
    return group_.region().line(rank, step).arrived.reached(step);
  }
  std::uint64_t made_by(int rank, std::uint64_t number) const {
    return group_.region().state(rank).made[number % RankState::kCallsKept].load(
        std::memory_order_relaxed);
  }
  std::uint64_t first_difference(int rank) const {
    const std::uint64_t now = group_.calls_;
    std::uint64_t number = now - std::min(now - 1, std::uint64_t{RankState::kLines});
    while (number < now && made_by(rank, number) == made_by(group_.spec_.rank, number)) ++number;
    return number;
  }

  SharedGroup& group_;
};

// Which elements each rank reduces in each chunk. Slices begin at cache lines of staging memory, so
// that no line is written by two ranks.
class SharedGroup::Cut {
 public:
  // all_reduce: chunks of the vector, each cut in `size` slices.
  static Cut of_vector(const Parts& parts, int size) {
    const std::size_t element = size_of(parts.type());
    const std::size_t bytes = std::min(parts.bytes(), chunk_bytes(parts.bytes()));
    Cut cut(element, static_cast<std::size_t>(size));
    cut.chunk_ = bytes / element;
    cut.elements_ = parts.elements();
    cut.chunks_ = (cut.elements_ + cut.chunk_ - 1) / cut.chunk_;
    return cut;
  }
  // reduce_scatter: a stretch of every one of the `size` pieces per chunk.
  static Cut of_pieces(const Parts& parts, int size) {
    const std::size_t element = size_of(parts.type());
    Cut cut(element, static_cast<std::size_t>(size));
    cut.piece_ = parts.elements() / size;
    const std::size_t most = chunk_bytes(parts.bytes()) / size / kLine * kLine / element;
    cut.chunk_ = std::min(cut.piece_, std::max(most, kLine / element));
    cut.elements_ = cut.piece_;
    cut.chunks_ = (cut.elements_ + cut.chunk_ - 1) / cut.chunk_;
    return cut;
  }

  // Small chunks let copying and adding overlap early; large ones need fewer steps.
  static std::size_t chunk_bytes(std::size_t bytes) {
    return bytes <= (std::size_t{256} << 10) ? std::size_t{64} << 10 : RegionShape::kChunkBytes;
  }

  std::size_t chunks() const { return chunks_; }
  Slice slice(std::size_t chunk, int owner) const {
    const std::size_t begin = chunk * chunk_;
    const std::size_t length = std::min(chunk_, elements_ - begin);
    if (piece_ != 0) {
      const std::size_t stride = (chunk_ * element_ + kLine - 1) / kLine * kLine;
      return {owner * piece_ + begin, length, owner * stride};
    }
    const std::size_t line = kLine / element_;
    const std::size_t each = ((length + size_ - 1) / size_ + line - 1) / line * line;
    const std::size_t first = std::min(length, owner * each);
    return {begin + first, std::min(each, length - first), first * element_};
  }
  // Where a slice of reduce_scatter goes in the output.
  std::size_t output_begin(std::size_t chunk) const { return chunk * chunk_; }
  std::size_t element() const { return element_; }

 private:
  static constexpr std::size_t kLine = 64;
  Cut(std::size_t element, std::size_t size) : element_(element), size_(size) {}

  std::size_t element_;
  std::size_t size_;
  std::size_t elements_ = 0;  // of the vector, or of one piece
  std::size_t chunk_ = 0;     // elements of the vector, or of one piece, per chunk
  std::size_t chunks_ = 0;
  std::size_t piece_ = 0;  // elements; 0 for all_reduce
};

// How one rank gives: `small` beside the table of sizes, `staged` in chunks of which each taker has
// a stretch, `in_arena` where it lies.
struct SharedGroup::Giving {
  enum class Way : std::uint8_t { small, staged, in_arena };
  Way way = Way::small;
  std::size_t bytes = 0;    // of all pieces that differ
  std::size_t stretch = 0;  // bytes, of each taker's piece in a chunk
  std::size_t chunks = 0;
  // What this rank takes of it.
  std::uint64_t elements = 0;
  std::size_t offset = 0;           // in the small data, or in a chunk
  const std::byte* data = nullptr;  // small
  ArenaPlace place = 0;

  std::size_t bytes_beside(int size) const {  // the table
    if (way == Way::small) return bytes;
    return way == Way::in_arena ? static_cast<std::size_t>(size) * sizeof place : 0;
  }
  std::uint64_t packed() const { return stretch << 2 | static_cast<std::uint64_t>(way); }
  static Giving unpacked(std::uint64_t word) {
    Giving giving;
    giving.way = static_cast<Way>(word & 3);
    giving.stretch = word >> 2;
    return giving;
  }
};

}  // namespace shoal

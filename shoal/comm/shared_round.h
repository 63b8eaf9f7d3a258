// Private to SharedGroup: a collective under way, and how its data is cut.
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
        packed(made.packed()),
        deadline(until),
        awaited_done(group.done_ - 1),
        group_(group) {
    group.wait_.rethrow_if_spent();
    group.calls_shown_.store(++group.calls_, std::memory_order_relaxed);
    if (made.operation == Operation::all_reduce || made.operation == Operation::reduce_scatter) {
      reduce = reduction_of(made.type, made.op);
    }
  }

  Place place() const override {
    return {std::string(name_of(call.operation)), group_.calls_, group_.spec_.name};
  }
  std::vector<int> absent() const override {
    std::vector<int> ranks;
    for (int rank = 0; rank < group_.size_; ++rank) {
      const StepLine& line = group_.region().state(rank).steps[group_.steps_ & 1];
      const RankState& state = group_.region().state(rank);
      if (!line.arrived.reached(group_.steps_) || !state.done.reached(awaited_done)) {
        ranks.push_back(rank);
      }
    }
    return ranks;
  }

  // Of the last step that this rank has published: no other can be more than one beyond it, so
  // their lines for it still stand.
  std::vector<std::uint64_t> differing_calls() const override {
    const std::uint32_t step = group_.steps_;
    std::vector<std::uint64_t> calls(static_cast<std::size_t>(group_.size_));
    bool differ = false;
    for (int rank = 0; rank < group_.size_; ++rank) {
      const StepLine& line = group_.region().state(rank).steps[step & 1];
      if (!line.arrived.reached(step)) continue;
      calls[rank] = line.call;
      differ |= line.call != group_.region().state(group_.spec_.rank).steps[step & 1].call;
    }
    return differ ? calls : std::vector<std::uint64_t>{};
  }

  const Call call;
  const std::uint64_t packed;
  const Deadline deadline;
  Reduction reduce = nullptr;
  mutable std::uint32_t awaited_done;  // the chunks with which the others must have finished

 private:
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
  // Small chunks let copying and adding overlap early; large ones need fewer steps.
  static std::size_t chunk_bytes(std::size_t bytes) {
    if (bytes <= (std::size_t{64} << 10)) return std::size_t{64} << 10;
    if (bytes <= (std::size_t{256} << 10)) return std::size_t{64} << 10;
    return RegionShape::kChunkBytes;
  }

  std::size_t element_;
  std::size_t size_;
  std::size_t elements_ = 0;  // of the vector, or of one piece
  std::size_t chunk_ = 0;     // elements of the vector, or of one piece, per chunk
  std::size_t chunks_ = 0;
  std::size_t piece_ = 0;  // elements; 0 for all_reduce
};

}  // namespace shoal

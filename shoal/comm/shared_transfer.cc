// What ranks hand to each other without sums (gather, scatter, all-to-all) through a region. The
// sizes that each rank gives go with a step, so that those that do not fit have names; what is
// small goes with the same step, the rest in frames.
#include <cstring>

#include "shoal/comm/shared_round.h"
#include "shoal/comm/transfer_run.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

std::uint64_t entry(const std::byte* table, int rank) {
  std::uint64_t elements = 0;
  std::memcpy(&elements, table + static_cast<std::size_t>(rank) * sizeof elements, sizeof elements);
  return elements;
}

}  // namespace

// All that one rank gives to others, in the order of ranks.
class SharedGroup::Handful {
 public:
  // `table`: how many elements it gives to each.
  Handful(const std::byte* table, int giver, int size, std::size_t element)
      : table_(table),
        giver_(giver),
        element_(element),
        table_bytes_(size * sizeof(std::uint64_t)) {
    elements_ = before(size);
  }
  std::size_t bytes() const { return elements_ * element_; }
  bool goes_with_the_step() const { return slot_offset() + bytes() <= RegionShape::kSmallBytes; }
  // Where the data for a rank begins in the giver's small slot, behind a table that is there too.
  std::size_t offset_for(int taker) const { return slot_offset() + before(taker) * element_; }

 private:
  std::size_t slot_offset() const {
    return table_bytes_ <= StepLine::kInlineBytes ? 0 : table_bytes_;
  }
  std::size_t before(int taker) const {
    std::size_t elements = 0;
    for (int rank = 0; rank < taker; ++rank) {
      if (rank != giver_) elements += entry(table_, rank);
    }
    return elements;
  }

  const std::byte* table_;
  int giver_;
  std::size_t element_;
  std::size_t table_bytes_;
  std::size_t elements_ = 0;
};

void SharedGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                           std::span<const Buffer> out, Deadline deadline) {
  const Round round(*this, deadline, call);
  const std::size_t element = size_of(call.type);
  const std::size_t table_bytes = in.size() * sizeof(std::uint64_t);
  check(table_bytes <= RegionShape::kSmallBytes, "a group on one host has at most 256 ranks");
  std::byte* const table = payload(spec_.rank, table_bytes, steps_ + 1);
  for (int rank = 0; rank < size_; ++rank) {
    const std::uint64_t elements = in[rank].elements;
    std::memcpy(table + rank * sizeof elements, &elements, sizeof elements);
  }
  const Handful own(table, spec_.rank, size_, element);
  if (own.goes_with_the_step()) {
    std::byte* to =
        region().small(spec_.rank, static_cast<int>((steps_ + 1) & 1)) + own.offset_for(0);
    for (int rank = 0; rank < size_; ++rank) {
      if (rank == spec_.rank || in[rank].elements == 0) continue;
      std::memcpy(to, in[rank].data, in[rank].bytes());
      to += in[rank].bytes();
    }
    bytes_sent_.fetch_add(own.bytes(), std::memory_order_relaxed);
  }
  publish(round);
  await_step(round);
  bool in_frames = !own.goes_with_the_step();
  for (int giver = 0; giver < size_; ++giver) {
    const std::byte* const theirs = payload(giver, table_bytes, steps_);
    const std::uint64_t given = entry(theirs, spec_.rank);
    if (given != out[giver].elements) {
      wait_.fail(Ending::mismatch, giver,
                 sizes_differ(round.place(), giver, given, spec_.rank, out[giver]));
    }
    if (given == 0) continue;
    if (giver == spec_.rank) {
      if (out[giver].data == in[giver].data) continue;
      std::memmove(out[giver].data, in[giver].data, in[giver].bytes());
      continue;
    }
    const Handful handful(theirs, giver, size_, element);
    if (handful.goes_with_the_step()) {
      const std::byte* const slot = region().small(giver, static_cast<int>(steps_ & 1));
      std::memcpy(out[giver].data, slot + handful.offset_for(spec_.rank), out[giver].bytes());
    } else {
      in_frames = true;
    }
  }
  if (in_frames) transfer_frames(round, own.goes_with_the_step(), in, out);
}

// What did not go with the step.
void SharedGroup::transfer_frames(const Round& round, bool own_is_done,
                                  std::span<const ConstBuffer> in, std::span<const Buffer> out) {
  std::vector<ConstBuffer> given(in.begin(), in.end());
  std::vector<Buffer> taken(out.begin(), out.end());
  const std::size_t table_bytes = in.size() * sizeof(std::uint64_t);
  for (int rank = 0; rank < size_; ++rank) {
    const bool itself = rank == spec_.rank;
    if (own_is_done || itself) given[rank].elements = 0;
    const Handful theirs(payload(rank, table_bytes, steps_), rank, size_, size_of(round.call.type));
    if (itself || theirs.goes_with_the_step()) taken[rank].elements = 0;
  }
  TransferRun run(spec_.rank, given, taken);
  bytes_sent_.fetch_add(frames_.run(run, round, round.deadline), std::memory_order_relaxed);
}

}  // namespace shoal

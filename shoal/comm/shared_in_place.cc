// The operations of SharedGroup on memory that lies in the ranks' arenas: nothing is staged.
#include <algorithm>
#include <cstring>

#include "shoal/comm/shared_round.h"

namespace shoal {

// A stretch of a vector as others are told: where it begins in the vector, its elements, and where
// it lies in the arena. One fits in the line of the step, more go to the small slot.
struct SharedGroup::Shown {
  std::uint64_t begin;
  std::uint64_t elements;
  ArenaPlace place;
  static constexpr std::size_t kMost = RegionShape::kSmallBytes / 24;
};

std::byte* SharedGroup::shown_at(int rank, std::uint64_t count) {
  return count <= 1 ? region().line(rank, steps_).payload + sizeof count : small_slot(rank);
}

// Shows with the next step which stretches of the vector lie in the own arena; whether any does.
bool SharedGroup::show_stretches(const Round& round, const Parts& vector) {
  static_assert(sizeof(Shown) == 24 && sizeof(std::uint64_t) + 24 <= StepLine::kInlineBytes);
  Shown shown[Shown::kMost];
  std::uint64_t count = 0;
  vector.visit(0, vector.elements(), [&](std::byte* data, std::size_t elements, std::size_t begin) {
    const ArenaPlace place = arena_->place_of(data, elements * size_of(vector.type()));
    if (place != 0 && count < Shown::kMost) shown[count++] = {begin, elements, place};
  });
  std::byte* const payload = own_payload(round, sizeof count);
  std::memcpy(payload, &count, sizeof count);
  if (count != 0) {
    std::byte* const to = count == 1 ? payload + sizeof count : own_small_slot(round);
    std::memcpy(to, shown, count * sizeof(Shown));
  }
  return count != 0;
}

// Of the step that all have published. Every rank finds the same.
bool SharedGroup::keep_common_stretches() {
  bool anybody = false;
  for (int rank = 0; rank < size_; ++rank) {
    std::uint64_t count = 0;
    std::memcpy(&count, region().line(rank, steps_).payload, sizeof count);
    anybody |= count != 0;
    if (rank == 0) {
      common_.resize(count);
      places_.resize(count * size_);
    }
    std::size_t known = 0, kept = 0;  // both lists are in order
    for (std::uint64_t i = 0; i < count; ++i) {
      Shown shown{};
      std::memcpy(&shown, shown_at(rank, count) + i * sizeof shown, sizeof shown);
      const Stretch stretch{shown.begin, shown.elements};
      if (rank == 0) {
        common_[known = i] = stretch;
      } else {
        while (known < common_.size() && common_[known].begin < stretch.begin) ++known;
        if (known == common_.size() || common_[known] != stretch) continue;
        std::copy_n(places_.begin() + known * size_, rank, places_.begin() + kept * size_);
      }
      common_[kept] = stretch;
      places_[kept++ * size_ + rank] = shown.place;
      ++known;
    }
    common_.resize(kept);
  }
  return anybody;
}

std::size_t SharedGroup::common_elements() const {
  std::size_t elements = 0;
  for (const Stretch& stretch : common_) elements += stretch.elements;
  return elements;
}

// The common stretches count as one vector. Each rank's part of it begins at a cache line, so that
// few are written by two ranks.
void SharedGroup::reduce_in_place(const Round& round, const Parts* out) {
  const std::size_t element = size_of(round.call.type);
  const auto line = static_cast<std::int64_t>(std::max<std::size_t>(1, 64 / element));
  const auto elements = static_cast<std::int64_t>(common_elements());
  const Range lines = part_of((elements + line - 1) / line, size_, spec_.rank);
  Range own{std::min(elements, lines.begin * line), std::min(elements, lines.end * line)};
  if (out != nullptr) own = part_of(elements, size_, spec_.rank);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < common_.size(); ++i) {
    const std::int64_t end = first + static_cast<std::int64_t>(common_[i].elements);
    const Range here{std::max(own.begin, first), std::min(own.end, end)};
    if (here.begin < here.end) {
      for (int rank = 0; rank < size_; ++rank) {
        sources_[rank] = outputs_[rank] =
            place_of(i, rank) + static_cast<std::size_t>(here.begin - first) * element;
      }
      const auto count = static_cast<std::size_t>(here.size());
      if (out == nullptr) {
        round.reduce(sources_, outputs_, count);
      } else {
        out->visit(0, count, [&](std::byte* memory, std::size_t several, std::size_t) {
          round.reduce(sources_, {&memory, 1}, several);
        });
      }
    }
    first = end;
  }
  // What others read here counts as sent, as if it had been staged.
  const auto count = static_cast<std::size_t>(own.size());
  const std::size_t sent = static_cast<std::size_t>(elements) - count +
                           (out == nullptr ? count * static_cast<std::size_t>(size_ - 1) : 0);
  bytes_sent_.fetch_add(sent * element, std::memory_order_relaxed);
  chunk_done();
  await_done(round, done_);
}

// What of the vector is not in common stretches, as a vector.
void SharedGroup::reduce_rest(const Round& round, const Parts& in) {
  std::vector<Buffer> rest;
  const auto add = [&](std::size_t begin, std::size_t end) {
    in.visit(begin, end - begin, [&](std::byte* data, std::size_t elements, std::size_t) {
      rest.push_back({data, elements, in.type()});
    });
  };
  std::size_t begin = 0;
  for (const Stretch& stretch : common_) {
    add(begin, stretch.begin);
    begin = stretch.begin + stretch.elements;
  }
  add(begin, in.elements());
  const Parts vector(rest);
  const Cut cut = Cut::of_vector(vector, size_);
  begin_staging(round, cut, vector, /*is_staged=*/false);
  reduce_chunks(round, cut, vector, nullptr);
}

}  // namespace shoal

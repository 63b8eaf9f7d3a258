#include "shoal/comm/arena.h"

#include <sys/mman.h>

#include <algorithm>

namespace shoal {
namespace {

constexpr std::size_t kPageBytes = 4096;

}  // namespace

Arena::Arena(std::shared_ptr<Region> region, int rank)
    : region_(std::move(region)),
      base_(region_->arena(rank)),
      bytes_(region_->shape().arena_bytes) {
  if (bytes_ != 0) free_[0] = bytes_;
}

std::shared_ptr<std::byte> Arena::allocate(std::size_t bytes) {
  const std::size_t needed =
      std::max(kPageBytes, (bytes + kPageBytes - 1) / kPageBytes * kPageBytes);
  std::size_t offset = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(free_.begin(), free_.end(), [needed](const auto& stretch) {
      return needed <= stretch.second;
    });
    if (found == free_.end()) return {};
    const auto [begin, length] = *found;
    free_.erase(found);
    offset = begin;
    if (needed != length) free_[begin + needed] = length - needed;
  }
  return {base_ + offset, [arena = shared_from_this(), offset, needed](std::byte*) {
            arena->give_back(offset, needed);
          }};
}

void Arena::give_back(std::size_t offset, std::size_t bytes) {
  forget_pages(offset, bytes);
  const std::lock_guard lock(mutex_);
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + bytes) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += bytes;
      return;
    }
  }
  free_[offset] = bytes;
}

// They come back as zeros. Of a memory file, and of the process's own memory.
void Arena::forget_pages(std::size_t offset, std::size_t bytes) const {
  if (madvise(base_ + offset, bytes, MADV_REMOVE) != 0) {
    madvise(base_ + offset, bytes, MADV_DONTNEED);
  }
}

std::size_t Arena::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  std::size_t used = bytes_;
  for (const auto& [offset, bytes] : free_) used -= bytes;
  return used;
}

}  // namespace shoal

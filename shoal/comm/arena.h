// Memory of one rank inside a region: what lies in it, all members of the group can reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "shoal/comm/region.h"

namespace shoal {

// A place in a rank's arena, as others are told: the offset plus one. 0: not in the arena.
using ArenaPlace = std::uint64_t;

// Thread safe. Free stretches are kept by the owner alone; the first that is large enough is taken.
class Arena : public std::enable_shared_from_this<Arena> {
 public:
  Arena(std::shared_ptr<Region> region, int rank);

  // At least `bytes`, zeroed, in pages of their own. Empty when there is no room. Returned to the
  // arena with the last owner, which keeps the region.
  std::shared_ptr<std::byte> allocate(std::size_t bytes);
  ArenaPlace place_of(const std::byte* data, std::size_t bytes) const {
    const auto at = reinterpret_cast<std::uintptr_t>(data);
    const auto offset = at - reinterpret_cast<std::uintptr_t>(base_);  // wraps below the base
    return offset < bytes_ && bytes <= bytes_ - offset && bytes != 0 ? offset + 1 : 0;
  }
  std::size_t bytes_in_use() const;

 private:
  void give_back(std::size_t offset, std::size_t bytes);
  void forget_pages(std::size_t offset, std::size_t bytes) const;

  const std::shared_ptr<Region> region_;  // shared: memory may outlive the group
  std::byte* const base_;
  const std::size_t bytes_;
  mutable std::mutex mutex_;                 // guards everything below
  std::map<std::size_t, std::size_t> free_;  // offset, bytes; no two touch
};

}  // namespace shoal

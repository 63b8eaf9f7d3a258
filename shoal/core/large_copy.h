// Copies of what is too large to stay in a cache.
#pragma once

#include <cstddef>
#include <cstring>

namespace shoal {

// Whether so many bytes, written by all ranks of a host in one call, will be out of the caches
// before they are read. Of a last-level cache of 32 MiB: where others use it too, 8 MiB are out of
// it already, and where nobody does, 16 MiB would nearly stay.
constexpr bool outgrows_caches(std::size_t bytes) { return bytes >= (std::size_t{16} << 20); }

// memcpy whose stores go around the caches (non-temporal), so that lines are not fetched before
// they are overwritten: about half the time where two cores share the memory's bandwidth, and the
// C library does the same only from a size on that it takes from the processor's whole cache
// (192 MiB in a virtual machine that was given two of many cores). Ordered before later stores.
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t bytes);

// `past_caches`: as outgrows_caches() said of the whole call.
inline void copy_out(std::byte* to, const std::byte* from, std::size_t bytes, bool past_caches) {
  if (past_caches) return copy_past_caches(to, from, bytes);
  std::memcpy(to, from, bytes);
}

}  // namespace shoal

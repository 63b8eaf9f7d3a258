#include "shoal/core/file_image.h"

#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kHugePage = 2 << 20;
static_assert(kHugePage % kDirectAlignment == 0);
// A checksum's three lanes of 4 KiB: small enough to be in the first cache still when copied.
constexpr std::size_t kBlock = 3 * 4096;

// Stores that do not first read what they overwrite: half of a plain copy's traffic to memory.
void stream(std::byte* to, const std::byte* from, std::size_t bytes) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::size_t step = hn::Lanes(d);
  const std::size_t head =
      std::min(bytes, (step - reinterpret_cast<std::uintptr_t>(to) % step) % step);
  std::memcpy(to, from, head);
  std::size_t at = head;
  for (; at + step <= bytes; at += step) {
    hn::Stream(hn::LoadU(d, reinterpret_cast<const std::uint8_t*>(from + at)), d,
               reinterpret_cast<std::uint8_t*>(to + at));
  }
  std::memcpy(to + at, from + at, bytes - at);
}

}  // namespace

void FileImage::Free::operator()(std::byte* memory) const {
  ::operator delete (memory, std::align_val_t{kHugePage});
}

void FileImage::resize(std::size_t bytes) {
  if (bytes > capacity_) {
    const std::size_t capacity = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    memory_.reset();  // never both at once
    size_ = capacity_ = 0;
    memory_.reset(static_cast<std::byte*>(::operator new (capacity, std::align_val_t{kHugePage})));
    capacity_ = capacity;
    madvise(memory_.get(), capacity, MADV_HUGEPAGE);  // without them it works too
  }
  size_ = bytes;
}

std::uint32_t FileImage::put(std::size_t at, std::span<const std::byte> content) {
  check(at <= size_ && content.size() <= size_ - at, "content lies inside the image");
  std::uint32_t checksum = 0;
  for (std::size_t done = 0; done < content.size(); done += kBlock) {
    const auto block = content.subspan(done, std::min(kBlock, content.size() - done));
    checksum = crc32c(block, checksum);
    stream(memory_.get() + at + done, block.data(), block.size());
  }
  hwy::FlushStream();  // such stores are not ordered by a lock: another thread writes the file
  return checksum;
}

}  // namespace shoal

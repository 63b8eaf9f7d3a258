#include "shoal/core/file_image.h"

#include <sys/mman.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <new>

#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

constexpr std::size_t kHugePage = 2 << 20;
static_assert(kHugePage % kDirectAlignment == 0);
// A checksum's three lanes of 4 KiB: small enough to be in the first cache still when copied.
constexpr std::size_t kBlock = 3 * 4096;

// Stores that do not first read what they overwrite: half of a plain copy's traffic to memory.
void stream(std::byte* to, const std::byte* from, std::size_t bytes) {
#if defined(__SSE2__)
  constexpr std::size_t kLine = 64;
  const auto misaligned = reinterpret_cast<std::uintptr_t>(to) % kLine;
  const std::size_t head = std::min(bytes, (kLine - misaligned) % kLine);
  std::memcpy(to, from, head);
  std::size_t at = head;
  for (; at + kLine <= bytes; at += kLine) {
    for (std::size_t i = at; i < at + kLine; i += sizeof(__m128i)) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
  std::memcpy(to + at, from + at, bytes - at);
#else
  std::memcpy(to, from, bytes);
#endif
}

// Such stores are not ordered by a lock; another thread writes the file.
void make_visible() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
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
  make_visible();
  return checksum;
}

}  // namespace shoal

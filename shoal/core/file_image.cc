#include "shoal/core/file_image.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/core/file.h"
#include "shoal/core/large_copy.h"

namespace shoal {
namespace {

constexpr std::size_t kHugePage = 2 << 20;
static_assert(kHugePage % kDirectAlignment == 0);
// Small enough to be in the core's own cache still when copied, in whole rounds of a checksum's
// three lanes of 4 KiB.
constexpr std::size_t kBlock = std::size_t{8} * 3 * 4096;

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
    copy_past_caches(memory_.get() + at + done, block.data(), block.size());
  }
  return checksum;
}

}  // namespace shoal

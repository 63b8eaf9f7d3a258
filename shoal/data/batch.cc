#include "shoal/data/batch.h"

#include <sys/mman.h>

#include <new>

namespace shoal {

AlignedBytes::Memory AlignedBytes::allocate(std::size_t size) {
  constexpr std::size_t kLargePage = 2 << 20;
  const bool has_large_pages = size >= 2 * kLargePage;
  const std::align_val_t alignment{has_large_pages ? kLargePage : kAlignment};
  Memory memory(static_cast<std::byte*>(::operator new(size, alignment)), Free{alignment});
  // Advice: where the system has none, pages are small.
  if (has_large_pages) ::madvise(memory.get(), size / kLargePage * kLargePage, MADV_HUGEPAGE);
  return memory;
}

}  // namespace shoal

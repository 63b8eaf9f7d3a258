#include "shoal/tensor/torch_settings.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <malloc.h>

#include "shoal/core/error.h"

namespace shoal {
namespace {

// By default glibc maps each block above 128 KiB to 32 MiB (the limit moves) anew from the system
// and gives it back when freed: every activation of every step then costs a page fault per 4 KiB.
// The settings only raise limits, so calling again changes nothing.
void keep_freed_memory() {
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // the largest value that glibc takes
  mallopt(M_TRIM_THRESHOLD, 2047 * kMiB);
  // As large as one heap of a thread's arena, which glibc then never unmaps.
  mallopt(M_TOP_PAD, 64 * kMiB);
}

}  // namespace

void configure_torch(int threads) {
  if (threads < 1) {
    throw InvalidInput(fmt::format("{} threads per worker: give 1 or more", threads));
  }
  // Both are asked first: setting the inter-op count is refused once its pool has started.
  if (at::get_num_threads() != threads) at::set_num_threads(threads);
  if (at::get_num_interop_threads() != 1) {
    try {
      at::set_num_interop_threads(1);
    } catch (const c10::Error&) {
      throw InvalidInput(
          "LibTorch's inter-op threads have started already: call configure_torch before the first "
          "tensor operation");
    }
  }
  keep_freed_memory();
}

}  // namespace shoal

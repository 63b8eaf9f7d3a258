// LibTorch's process-wide switches; nothing else in shoal touches them.
#pragma once

namespace shoal {

// Intra-op threads per worker (1: one worker per core is the fast set-up), inter-op threads 1,
// malloc keeps large blocks instead of giving them back page by page. Call before the first tensor
// operation; later calls with the same number do nothing.
void configure_torch(int threads);

}  // namespace shoal

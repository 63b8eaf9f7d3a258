// Ranks as forked processes, for measuring: real address spaces, as in a job.
#pragma once

#include <functional>

#include "shoal/comm/measure.h"
#include "shoal/comm/measure_board.h"
#include "shoal/comm/world.h"

namespace shoal {

using Tell = std::function<void(const Measured&)>;

// Runs `body` once per rank, each in a process of its own with a World; what rank 0 tells reaches
// `on_size` in this process, which serves the store. The caller has no threads. Returns when all
// have ended; when one fails or is killed, the others are stopped and its error is thrown.
void run_rank_processes(int size, const CommOptions& options, MeasureBoard& board,
                        const std::function<void(World&, const Tell&)>& body, const Tell& on_size);

}  // namespace shoal

// How long a schedule takes on a topology, without running it.
#pragma once

#include <cstdint>
#include <vector>

#include "shoal/comm/schedule.h"
#include "shoal/comm/topology.h"

namespace shoal {

struct ScheduleTime {
  double seconds = 0;
  std::vector<std::vector<double>> busy;  // from, to: seconds in which the link carried bytes
};

// Cells flow as ScheduleRun lets them: one goes on as soon as all that its rank adds to it before
// has come. A link carries one cell at a time, in the order in which they became ready, and hands
// it over `latency` after its last byte. Ranks add at no cost.
// Throws InvalidInput when the schedule uses a link that is not there.
// Cost: transfers x cells of a chunk, and a logarithm.
ScheduleTime time_schedule(const Schedule& schedule, const Topology& topology,
                           std::int64_t elements, std::int64_t element_bytes);

}  // namespace shoal

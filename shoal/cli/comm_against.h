// Collectives of MPI libraries, measured in turn with shoal's.
#pragma once

#include <string>
#include <vector>

#include "shoal/cli/comm_chart.h"
#include "shoal/comm/measure.h"

namespace shoal {

// "openmpi,mpich". Throws InvalidInput listing what there is.
std::vector<Mpi> mpis_called(const std::string& names);

// In each of options.repetitions rounds first shoal, then every MPI, each at all sizes. An MPI runs
// with each of the settings that are known to matter, and the fastest counts, size by size. The
// first line is shoal; of each size a line has the median of the rounds, with the smallest and
// largest. Blocks; forks: the caller has no threads.
// Throws what measure() throws, and InvalidInput when an MPI is not there.
std::vector<ChartLine> measure_against(const MeasureOptions& options, const std::vector<Mpi>& mpis);

// Sizes down, contenders across, with the ratio of each to shoal.
std::string table_of(const std::vector<ChartLine>& contenders);

}  // namespace shoal

// Collectives of MPI libraries, measured in turn with shoal's.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/measure.h"

namespace shoal {

// "openmpi,mpich". Throws InvalidInput listing what there is.
std::vector<Mpi> mpis_called(const std::string& names);

// What one contender took; of each size the median of the rounds, with the smallest and largest.
struct Contender {
  std::string name;
  std::vector<Measured> sizes;
};

// In each of options.repetitions rounds first shoal, then every MPI, each at all sizes. An MPI runs
// with each of the settings that are known to matter, and the fastest counts, size by size. The
// first contender is shoal. Blocks; forks: the caller has no threads.
// Throws what measure() throws, and InvalidInput when an MPI is not there.
std::vector<Contender> measure_against(const MeasureOptions& options, const std::vector<Mpi>& mpis,
                                       const std::string& path);

// Sizes down, contenders across, with the ratio of each to shoal.
std::string table_of(const std::vector<Contender>& contenders);

}  // namespace shoal

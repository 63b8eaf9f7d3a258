// Collectives of MPI libraries, measured in turn with shoal's.
#pragma once

#include <string>
#include <vector>

#include "shoal/cli/comm_chart.h"
#include "shoal/comm/measure.h"

namespace shoal {

// "openmpi,mpich". Throws InvalidInput listing what there is.
std::vector<Mpi> mpis_called(const std::string& names);

// What was measured while the cores were equally far apart.
struct Comparison {
  std::string distance;               // as distance_of() says it, "one core" or "cores that moved"
  int rounds = 0;                     // of the contender that has the fewest
  std::vector<ChartLine> contenders;  // the first is shoal
};

// In each of options.repetitions rounds first shoal, then every MPI, each at all sizes. An MPI runs
// with each of the settings that are known to matter, and the fastest counts, size by size. Of each
// size a line has the median of the rounds, with the smallest and largest.
// Virtual cores move: the cores' distance is probed before and after every run, and each is made
// again, up to three times, until it is a near one. What all contenders have rounds of is given,
// the nearest first; where there is nothing, all runs together. Blocks; forks: the caller has no
// threads.
// Throws what measure() throws, and InvalidInput when an MPI is not there.
std::vector<Comparison> measure_against(const MeasureOptions& options,
                                        const std::vector<Mpi>& mpis);

// Sizes down, contenders across, with the ratio of each to shoal.
std::string text_of(const Comparison& comparison);

}  // namespace shoal

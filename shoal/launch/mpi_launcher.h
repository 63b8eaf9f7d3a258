// Programs started by the launcher of an MPI: to try engine mpi, and to measure beside it.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/core/deadline.h"

namespace shoal {

struct MpiLauncher {
  Mpi which = Mpi::open_mpi;
  std::string path;
};

// The mpirun of this MPI in search_path(), whatever its name. Runs candidates with --version.
// Throws InvalidInput when there is none.
MpiLauncher find_mpi_launcher(Mpi which);

struct MpiRun {
  int ranks = 2;
  std::vector<std::string> options = {};    // of the launcher
  std::vector<std::string> variables = {};  // "NAME=value", beside those of a worker
  std::vector<std::string> program = {};    // with its words
};

// What the program wrote to standard output. Each rank is bound to a core, in turn.
// Blocks until it has ended. Throws Error with what it wrote last when it failed, TimedOut (and it
// is killed) at the deadline.
std::string run_under_mpi(const MpiLauncher& launcher, const MpiRun& run, Deadline deadline);

}  // namespace shoal

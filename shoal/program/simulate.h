// Times programs on a described machine, without running them.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/program.h"

namespace shoal {

// Where the workers are and how fast things are. Resources are shared equally among the operations
// that use them at a moment (processor sharing).
struct Machine {
  int cores_per_host = 1;
  int workers_per_host = 1;
  double memory_bytes_per_second = 20e9;  // of a host
  double link_bytes_per_second = 0;  // of a host's link, each way; 0: all workers on one host
  double link_latency_seconds = 0;
  double local_bytes_per_second = 5e9;  // of the memory path between two workers of a host
  double local_latency_seconds = 1e-6;
  double reduce_core_seconds_per_byte = 0.05e-9;  // adding and copying, on the worker's core
  bool communication_thread = true;  // lanes of groups run beside compute; else on its thread
  double update_core_seconds_per_byte = 0.1e-9;
  double load_core_seconds_per_sample = 0;
  // worker r runs on host r / workers_per_host, core r % cores_per_host.
};

struct TimedOp {
  int op = 0;  // index into the rank's list
  double start = 0;
  double end = 0;
};

struct Timeline {
  std::vector<std::vector<TimedOp>> ranks;  // by rank, in program order
  double makespan = 0;
  std::vector<double> busy;           // by rank: seconds in forward, backward, loss and update
  std::vector<double> communication;  // by rank: seconds in communication not beside compute
};

// Throws InvalidInput when the programs do not finish (verify them first).
// Cost: O(ops x active operations).
Timeline simulate(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                  const Machine& machine);

}  // namespace shoal

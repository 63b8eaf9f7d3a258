// Times programs on a described machine, without running them.
#pragma once

#include <string>
#include <vector>

#include "shoal/program/program.h"

namespace shoal {

// Where the workers are and how fast things are. Resources are shared equally among the operations
// that use them at a moment (processor sharing): the worker's core, the host's memory, the host's
// link in each direction, the worker's local path.
// Worker r runs on host r / workers_per_host, there on core (r % workers_per_host) %
// cores_per_host.
struct Machine {
  int cores_per_host = 1;
  int workers_per_host = 1;
  double memory_bytes_per_second = 20e9;  // of a host, bytes read and bytes written together
  double link_bytes_per_second = 0;       // of a host's link, each way; 0: all workers on one host
  double link_latency_seconds = 0;        // one way
  // From a worker to others of its host. What passes is also read and written in the host's memory.
  double local_bytes_per_second = 5e9;
  double local_latency_seconds = 1e-6;
  double reduce_core_seconds_per_byte = 0.05e-9;  // adding and copying, on the worker's core
  bool communication_thread = true;  // lanes of groups run beside compute; else on its thread
  double update_core_seconds_per_byte = 0.1e-9;  // of trained parameters
  double load_core_seconds_per_sample = 0;

  std::vector<std::string> problems() const;
};

// What an operation costs here.
//   Forward, Backward   the block's core seconds, then its wait. At the samples of the largest
//                       micro-batch; fits below 0 count as 0.
//   Send                the bytes over both hosts' links (or the local path, memory and core), then
//                       the latency; its Receive ends with it and costs nothing itself.
//   AllReduce, Agree    once all members have come: two latencies; then, direct two-shot, each of n
//                       members moves 2/n of the bytes to and from every other: over the links to
//                       other hosts, over the local path inside; and its core adds and copies
//                       2(n-1)/n of them. Ends for all members together.
//   Update, Load        core seconds by bytes of parameters, by samples.  Loss: nothing.

// Seconds from the beginning of the run.
struct TimedOp {
  int op = 0;        // index into the rank's list
  double start = 0;  // its lane takes it up: all it depends on is done
  double end = 0;
  double met = 0;  // peer or group are there too; before, it waits for them. Else equals start.
};

struct Timeline {
  std::vector<std::vector<TimedOp>> ranks;  // by rank, in program order
  double makespan = 0;
  std::vector<double> busy;  // by rank: seconds in forward, backward, loss and update
  // By rank: seconds in communication not beside compute; waiting for peers does not count.
  std::vector<double> communication;
};

// Throws InvalidInput for an impossible machine or blocks that the programs name and `blocks`
// lacks, and when the programs do not finish (verify them first).
// Cost: O((ops + dependencies) log ops).
Timeline simulate(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                  const Machine& machine);

}  // namespace shoal

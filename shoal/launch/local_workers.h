// Starts the workers of a job on this host, or a launcher on each of several hosts, and sees them
// through to their end.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "shoal/core/stop_request.h"

namespace shoal {

struct LaunchOptions {
  int workers = 1;                   // on this host (with hosts_file: where no slots are given)
  std::vector<std::string> command;  // program and arguments; the program is looked up in PATH

  // Several launchers, one a node: each starts its `workers`; ranks are node_rank * workers +
  // local.
  int nodes = 1;
  int node_rank = 0;
  std::string master;  // HOST:PORT where node 0 serves the store; needed with nodes > 1

  // What the launchers of several nodes share, at least 16 characters; secret_file is read when
  // `secret` is empty. On a loopback master they may do without: they share it through a file that
  // only this user can read.
  std::string secret;
  std::string secret_file;

  // For launchers with different numbers of workers: rank of the first one here, and workers of all
  // nodes. -1: from nodes, node_rank and workers.
  int first_rank = -1;
  int world_size = -1;

  // Instead of nodes: a file of lines "HOST [slots=N]"; a launcher is started on each over `ssh`
  // (split at white space), the first host being the master (port 29431 unless `master` says
  // otherwise). `launcher` is this command's path on the hosts; empty: where it is here.
  std::string hosts_file;
  std::string ssh = "ssh";
  std::string launcher;

  double join_seconds = 60;   // for all launchers to come
  double grace_seconds = 5;   // after a failure: for the others to end by themselves, then SIGTERM,
                              // and as long again SIGKILL
  double stop_seconds = 300;  // after Ctrl-C or SIGTERM: for a last step and a checkpoint
  double silence_seconds = 10;  // after which another node's launcher counts as lost

  // Rank 0's standard output passes through as it is, a progress bar included.
  bool plain_rank0 = false;
  std::vector<std::string> variables;  // "NAME=value" for every worker
  int control_fd = -1;                 // see SupervisorOptions; who started us over ssh is there

  std::vector<std::string> problems() const;
};

// Runs the job; returns when no process of it is left on this host. Workers get, besides this
// process's environment: their place (SHOAL_RANK, SHOAL_SIZE, SHOAL_LOCAL_RANK, SHOAL_LOCAL_SIZE,
// SHOAL_STORE, SHOAL_SECRET_FD), /dev/null as standard input, and, unless the user has set them,
// one thread each for OpenMP and MKL and an allocator that keeps large blocks (LibTorch allocates
// its tensors anew each step, and fresh pages are faulted in one by one). Their lines come out with
// "[rank N] " before them, errors that several print once.
//
// Returns the exit code: 0; the first failure's code, 3 for a worker killed by a signal or a lost
// node; 128 + signal after a stop. The death of a worker is published as `lost/<rank>` in the
// store. Throws InvalidInput for what is refused before anything runs (bad options, missing
// program, port in use, wrong secret), TimedOut when node 0 is not there within join_seconds. Reads
// the process environment. Blocks the calling thread, which has to be the one that outlives the
// workers: they are killed when it ends. If the process dies, all workers and what they have
// started die.
int launch(const LaunchOptions& options, std::ostream& out, std::ostream& err,
           const StopRequest& stop);

}  // namespace shoal

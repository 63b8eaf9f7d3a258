// This process as one of those that an MPI launcher started.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/comm/mpi_calls.h"
#include "shoal/comm/world.h"
#include "shoal/core/deadline.h"

namespace shoal {

// A file that speaks to an MPI: its "module", or a program that times its collectives, its "peer".
// Throws InvalidInput when it is not there.
std::filesystem::path mpi_file(Mpi which, std::string_view kind);

// The module of an MPI. Throws InvalidInput: why it cannot be used, and the remedy.
std::shared_ptr<MpiCalls> load_mpi(Mpi which);

// Any thread.
class MpiProcess {
 public:
  // Of calls that have started. `end` ends them; false when it did not come back by the deadline.
  using End = std::function<bool(Deadline)>;
  MpiProcess(std::shared_ptr<MpiCalls> calls, End end)
      : calls_(std::move(calls)), end_(std::move(end)) {}
  MpiProcess(const MpiProcess&) = delete;
  MpiProcess& operator=(const MpiProcess&) = delete;

  // The one of this process: the first call loads the module and starts MPI, which ends with the
  // process. Blocks until all processes of the launch have come, at most until the deadline.
  // Throws InvalidInput when `which` is not that of the first call, or MPI cannot be used here.
  static std::shared_ptr<MpiProcess> of_launcher(Mpi which, Deadline deadline);

  MpiCalls& calls() { return *calls_; }
  // The first of `count` tags that no other process and no earlier call was given.
  // Throws Error when there are none left.
  int new_tags(int count);
  // Takes over memory of which MPI has not let go: `is_free` is asked now and then until it says
  // true, and told when there is no more time.
  using IsFree = std::function<bool(bool is_last_time)>;
  void keep(IsFree is_free);
  // A group has failed: others may never call MPI_Finalize, which would wait for them.
  void forget_the_end() { may_end_ = false; }
  // MPI_Finalize, unless something hinders it.
  void end();

 private:
  bool all_free(bool is_last_time);  // under the lock

  const std::shared_ptr<MpiCalls> calls_;
  const End end_;
  std::atomic<int> tags_{0};
  std::atomic<bool> may_end_{true};
  std::mutex mutex_;  // guards everything below
  std::vector<IsFree> kept_;
};

// How the ranks of a group reach each other over MPI.
struct MpiWires {
  std::shared_ptr<MpiProcess> process;
  std::vector<int> ranks;  // MPI's, by rank of the group
  int tag = 0;             // and those that follow, one for each kind of traffic
};

}  // namespace shoal

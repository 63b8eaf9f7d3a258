// The worlds that a command forms one after another as a worker of a job.
#pragma once

#include <memory>
#include <optional>

#include "shoal/comm/world.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/rendezvous.h"

namespace shoal {

// Throws InvalidInput when -n was given and is not what the job has.
void require_workers(std::optional<int> asked, const WorkerPlace& place);

class JobWorlds {
 public:
  // Meets the other workers' store. Throws what meet() throws.
  JobWorlds(const WorkerPlace& place, double join_seconds);

  // All workers call it equally often. Throws what join_world_of() throws.
  std::unique_ptr<World> join(const CommOptions& options);

 private:
  const WorkerPlace place_;
  std::unique_ptr<StoreServer> server_;  // on rank 0, where the launcher serves none
  std::shared_ptr<Store> store_;         // shared with the worlds
  int joined_ = 0;
};

}  // namespace shoal

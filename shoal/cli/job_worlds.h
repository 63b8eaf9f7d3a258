// The worlds that a command forms one after another as a worker of a job.
#pragma once

#include <memory>

#include "shoal/comm/world.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/rendezvous.h"

namespace shoal {

class JobWorlds {
 public:
  // Meets the other workers' store. Throws what meet() throws.
  JobWorlds(const WorkerPlace& place, double join_seconds);

  const WorkerPlace& place() const { return place_; }
  // All workers call it equally often. Throws what join_world() throws.
  std::unique_ptr<World> join(CommOptions options);

 private:
  const WorkerPlace place_;
  std::unique_ptr<StoreServer> server_;  // on rank 0, where the launcher serves none
  std::shared_ptr<Store> store_;         // shared with the worlds
  int joined_ = 0;
};

}  // namespace shoal

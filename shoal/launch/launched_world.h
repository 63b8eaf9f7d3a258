// One call that makes a program a worker of whatever launcher started it.
#pragma once

#include <memory>

#include "shoal/comm/world.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/rendezvous.h"

namespace shoal {

// A world and the store it stands on. Under mpirun and srun rank 0 serves the store, so it has to
// live until all have left: keep this until the end.
struct LaunchedWorld {
  std::unique_ptr<StoreServer> server;  // declared first: destroyed last
  std::unique_ptr<World> world;
};

// Joins the world whose store this is. Engine mpi is served by the MPI that started the worker,
// unless options.mpi says otherwise. Throws what join_world() throws.
std::unique_ptr<World> join_world_of(const WorkerPlace& place, std::shared_ptr<Store> store,
                                     CommOptions options, Deadline deadline);

// Joins as `place` says; blocks until all workers have come, at most options.join_seconds.
// Throws TimedOut naming the ranks that did not come, and what meet() throws.
LaunchedWorld join_launched_world(const WorkerPlace& place, const CommOptions& options,
                                  const TorchStoreFactory& torch_store = {});

// Under `shoal run`, torchrun, mpirun or srun: that launcher's world. Started alone: a world of
// one.
LaunchedWorld join_launched_world(const CommOptions& options,
                                  const TorchStoreFactory& torch_store = {});

}  // namespace shoal

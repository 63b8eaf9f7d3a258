#include "shoal/launch/launched_world.h"

namespace shoal {

std::unique_ptr<World> join_world_of(const WorkerPlace& place, std::shared_ptr<Store> store,
                                     CommOptions options, Deadline deadline) {
  if (options.mpi == Mpi::automatic) options.mpi = place.mpi;
  return join_world(std::move(store), {.rank = place.rank, .size = place.size}, options, deadline);
}

LaunchedWorld join_launched_world(const WorkerPlace& place, const CommOptions& options,
                                  const TorchStoreFactory& torch_store) {
  const Deadline deadline = Deadline::after_seconds(options.join_seconds);
  LaunchedWorld joined;
  std::shared_ptr<Store> store = meet(place, joined.server, deadline, torch_store);
  joined.world = join_world_of(place, std::move(store), options, deadline);
  return joined;
}

LaunchedWorld join_launched_world(const CommOptions& options,
                                  const TorchStoreFactory& torch_store) {
  if (const auto place = place_from_environment(process_environment())) {
    return join_launched_world(*place, options, torch_store);
  }
  LaunchedWorld alone;
  alone.world = join_world(make_memory_store(), {.rank = 0, .size = 1}, options,
                           Deadline::after(std::chrono::seconds(10)));
  return alone;
}

}  // namespace shoal

#include "shoal/launch/launched_world.h"

namespace shoal {

LaunchedWorld join_launched_world(const WorkerPlace& place, const CommOptions& options,
                                  const TorchStoreFactory& torch_store) {
  const Deadline deadline = Deadline::after_seconds(options.join_seconds);
  LaunchedWorld joined;
  std::shared_ptr<Store> store = meet(place, joined.server, deadline, torch_store);
  CommOptions resolved = options;
  if (resolved.mpi == Mpi::automatic) resolved.mpi = place.mpi;
  joined.world =
      join_world(std::move(store), {.rank = place.rank, .size = place.size}, resolved, deadline);
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

#include "shoal/cli/job_worlds.h"

#include <fmt/format.h>

#include "shoal/tensor/torch_store.h"

namespace shoal {

JobWorlds::JobWorlds(const WorkerPlace& place, double join_seconds)
    : place_(place),
      store_(meet(place, server_, Deadline::after_seconds(join_seconds), connect_torch_store)) {}

std::unique_ptr<World> JobWorlds::join(CommOptions options) {
  if (options.mpi == Mpi::automatic) options.mpi = place_.mpi;
  return join_world(with_prefix(store_, fmt::format("world/{}/", joined_++)),
                    {.rank = place_.rank, .size = place_.size}, options,
                    Deadline::after_seconds(options.join_seconds));
}

}  // namespace shoal

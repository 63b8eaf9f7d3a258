#include "shoal/cli/job_worlds.h"

#include <fmt/format.h>

#include "shoal/core/error.h"
#include "shoal/launch/launched_world.h"
#include "shoal/tensor/torch_store.h"

namespace shoal {

void require_workers(std::optional<int> asked, const WorkerPlace& place) {
  if (!asked || *asked == place.size) return;
  throw InvalidInput(
      fmt::format("-n {}: the job has {} workers; leave -n out", *asked, place.size));
}

JobWorlds::JobWorlds(const WorkerPlace& place, double join_seconds)
    : place_(place),
      store_(meet(place, server_, Deadline::after_seconds(join_seconds), connect_torch_store)) {}

std::unique_ptr<World> JobWorlds::join(const CommOptions& options) {
  return join_world_of(place_, with_prefix(store_, fmt::format("world/{}/", joined_++)), options,
                       Deadline::after_seconds(options.join_seconds));
}

}  // namespace shoal

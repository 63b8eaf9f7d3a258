// How a worker reaches the store of its job.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "shoal/comm/store.h"
#include "shoal/core/deadline.h"
#include "shoal/launch/environment.h"

namespace shoal {

// Connects to a c10d TCPStore that somebody else serves: needs LibTorch, so the caller brings it.
using TorchStoreFactory =
    std::function<std::shared_ptr<Store>(const std::string& host, int port, Deadline deadline)>;

// The store of the job. Under shoal's own launcher and torchrun's agent it is served already; under
// mpirun, srun and bare variables rank 0 serves it and keeps it alive in `own_server` (to be
// destroyed after everybody has left), the others connect, trying again until `deadline`.
// A rendezvous file is written by rank 0 and removed by the last worker that has met, or by whoever
// gives up.
// Throws TimedOut (rank 0, or its file, did not come), InvalidInput (port in use, wrong secret, a
// torch store without `torch_store`).
std::shared_ptr<Store> meet(const WorkerPlace& place, std::unique_ptr<StoreServer>& own_server,
                            Deadline deadline, const TorchStoreFactory& torch_store = {});

}  // namespace shoal

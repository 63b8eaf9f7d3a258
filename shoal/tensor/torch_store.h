// The store that PyTorch's launchers already serve, as a shoal store.
#pragma once

#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "shoal/comm/store.h"
#include "shoal/core/deadline.h"

namespace shoal {

// Connects to the c10d TCPStore at host:port, trying again until `deadline`. Its keys get the
// prefix "shoal/". A wait is made of polls, because c10d's own cannot be ended early. It has no
// secret: whoever reaches the port takes part, as in PyTorch. Throws TimedOut naming host and port.
std::shared_ptr<Store> connect_torch_store(const std::string& host, int port, Deadline deadline);

// Any store of c10d. `place` names it in messages.
std::shared_ptr<Store> over_torch_store(c10::intrusive_ptr<c10d::Store> store, std::string place);

}  // namespace shoal

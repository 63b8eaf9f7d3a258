// A small file in a private folder through which the first process of a job tells the others of the
// same host and user its port and a random secret.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "shoal/comm/store.h"
#include "shoal/core/deadline.h"

namespace shoal {

struct Rendezvous {
  int port = 0;
  std::string secret;
};

// Replaces the file atomically; only this user can read it. Throws InvalidInput.
void write_rendezvous(const std::filesystem::path& file, const Rendezvous& rendezvous);

// Nothing while the file is not there. Throws InvalidInput when it belongs to somebody else, can be
// read by others, or does not hold what write_rendezvous writes.
std::optional<Rendezvous> read_rendezvous(const std::filesystem::path& file);

struct FoundStore {
  std::shared_ptr<Store> store;  // shared as connect_store's; null when the deadline passed
  std::string secret;
};
// Waits for the file and connects to the store it names at `address`. A file left over by a killed
// job may name a port where nobody, or somebody else, listens now: each try is short, and the file
// is read anew for the next.
FoundStore connect_through_file(const std::string& address, const std::filesystem::path& file,
                                Deadline deadline);

}  // namespace shoal

// A small shared dictionary through which workers meet: who is there, where they listen, what was
// agreed before any group exists.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shoal/core/deadline.h"

namespace shoal {

// All calls may be made from any thread. Values are bytes, at most 16 MiB; keys at most 1 KiB.
// Throws PeerLost when the server is gone, TimedOut when `deadline` passes.
class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::string& value, Deadline deadline) = 0;
  // Waits until the key exists.
  virtual std::string get(const std::string& key, Deadline deadline) = 0;
  // The value now, without waiting for the key.
  virtual std::optional<std::string> look(const std::string& key, Deadline deadline) = 0;
  // Adds to a counter that starts at 0 and returns the new value.
  virtual std::int64_t add(const std::string& key, std::int64_t delta, Deadline deadline) = 0;

  // Sets the key when this client's connection ends without having called this again with an empty
  // `value`: so the others learn of a death. A store without connections does nothing.
  virtual void set_when_gone(const std::string& /*key*/, const std::string& /*value*/,
                             Deadline /*deadline*/) {}
  // Our address on the way to the server, as text; empty without a server.
  virtual std::string local_address() const { return {}; }
};

// For ranks that are threads of one process.
std::shared_ptr<Store> make_memory_store();

// Prefixes every key, so that several users share one store.
std::shared_ptr<Store> with_prefix(std::shared_ptr<Store> store, std::string prefix);

// Serves a store over TCP from threads of its own until destroyed.
class StoreServer {
 public:
  virtual ~StoreServer() = default;
  virtual int port() const = 0;
};

// Listens on `address` (loopback unless told otherwise), `port` 0 takes a free one. `secret` has to
// be proved by every client (HMAC-SHA-256 challenge and response; never sent); strangers, garbage
// and half-open connections are dropped and disturb nobody.
// Throws InvalidInput when the port is taken or the address is not ours.
std::unique_ptr<StoreServer> serve_store(const std::string& address, int port,
                                         const std::string& secret);

// Connects, trying again until `deadline` (the server may start later).
// Throws TimedOut naming address and port, InvalidInput when the server refuses the secret.
std::shared_ptr<Store> connect_store(const std::string& address, int port,
                                     const std::string& secret, Deadline deadline);

}  // namespace shoal

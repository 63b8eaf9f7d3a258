#include "shoal/launch/rendezvous.h"

#include <fmt/format.h>

#include <system_error>

#include "shoal/comm/interfaces.h"
#include "shoal/core/error.h"
#include "shoal/launch/rendezvous_file.h"
#include "shoal/launch/secret.h"

namespace shoal {
namespace {

void remove_quietly(const std::filesystem::path& file) {
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
}

// A store server whose rendezvous file goes with it, should not all workers have come.
class ServerWithFile : public StoreServer {
 public:
  ServerWithFile(std::unique_ptr<StoreServer> server, std::filesystem::path file)
      : server_(std::move(server)), file_(std::move(file)) {}
  ~ServerWithFile() override { remove_quietly(file_); }
  int port() const override { return server_->port(); }

 private:
  std::unique_ptr<StoreServer> server_;
  std::filesystem::path file_;
};

// The last one who has met removes the file: nobody needs it any more.
void count_in(Store& store, const WorkerPlace& place, Deadline deadline) {
  const auto met = store.add("launch/met", 1, deadline);
  if (met == place.size) remove_quietly(place.rendezvous_file);
}

std::shared_ptr<Store> serve_by_file(const WorkerPlace& place,
                                     std::unique_ptr<StoreServer>& own_server, Deadline deadline) {
  const std::string secret = random_secret();
  auto server = serve_store(place.master_address, 0, secret);
  const int port = server->port();
  own_server = std::make_unique<ServerWithFile>(std::move(server), place.rendezvous_file);
  auto store = connect_store(place.master_address, port, secret, deadline);
  write_rendezvous(place.rendezvous_file, {.port = port, .secret = secret});
  count_in(*store, place, deadline);
  return store;
}

std::shared_ptr<Store> connect_by_file(const WorkerPlace& place, Deadline deadline) {
  if (auto found = connect_through_file(place.master_address, place.rendezvous_file, deadline);
      found.store) {
    count_in(*found.store, place, deadline);
    return std::move(found.store);
  }
  remove_quietly(place.rendezvous_file);
  throw TimedOut(
      fmt::format("rank 0 of {} has not said where it listens after {} ms: see why it "
                  "did not start (expected in {})",
                  place.source, deadline.waited().count(), place.rendezvous_file.string()),
      {0});
}

std::shared_ptr<Store> serve_at_master(const WorkerPlace& place,
                                       std::unique_ptr<StoreServer>& own_server,
                                       Deadline deadline) {
  // The master's name may stand for another address on its own host (127.0.1.1 on Debian), so rank
  // 0 listens on all; the secret keeps strangers out.
  const bool loopback = is_loopback(place.master_address);
  own_server =
      serve_store(loopback ? place.master_address : "0.0.0.0", place.master_port, place.secret);
  return connect_store(loopback ? place.master_address : "127.0.0.1", own_server->port(),
                       place.secret, deadline);
}

}  // namespace

std::shared_ptr<Store> meet(const WorkerPlace& place, std::unique_ptr<StoreServer>& own_server,
                            Deadline deadline, const TorchStoreFactory& torch_store) {
  if (place.store_is_torch) {
    if (!torch_store) {
      throw InvalidInput(fmt::format(
          "torchrun serves its own store at {}:{}, which this program cannot use without LibTorch: "
          "start it with shoal run, mpirun or srun",
          place.master_address, place.master_port));
    }
    return torch_store(place.master_address, place.master_port, deadline);
  }
  if (!place.rendezvous_file.empty()) {
    return place.rank == 0 ? serve_by_file(place, own_server, deadline)
                           : connect_by_file(place, deadline);
  }
  if (place.source != "shoal" && place.rank == 0) {
    return serve_at_master(place, own_server, deadline);
  }
  try {
    return connect_store(place.master_address, place.master_port, place.secret, deadline);
  } catch (TimedOut& late) {
    if (place.source != "shoal") {
      late.add_context(
          "meeting rank 0 (when it runs on another host, set MASTER_ADDR and MASTER_PORT)");
    }
    throw;
  }
}

}  // namespace shoal

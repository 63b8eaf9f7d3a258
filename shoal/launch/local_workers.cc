#include "shoal/launch/local_workers.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "shoal/comm/interfaces.h"
#include "shoal/comm/store.h"
#include "shoal/core/deadline.h"
#include "shoal/core/error.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/host_launchers.h"
#include "shoal/launch/node_link.h"
#include "shoal/launch/rendezvous_file.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/supervisor.h"
#include "shoal/launch/worker_variables.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;

constexpr int kMostWorkers = 4096;

milliseconds seconds(double value) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::duration<double>(value));
}

// The store of the job, as this launcher sees it, and the file that carries its secret on a
// loopback master without one.
struct JobStore {
  std::string secret;
  HostPort place;
  std::unique_ptr<StoreServer> server;  // on node 0
  std::shared_ptr<Store> store;         // shared by the node link and by what we publish ourselves
  std::filesystem::path secret_handover;

  ~JobStore() {
    std::error_code ignored;
    if (server && !secret_handover.empty()) std::filesystem::remove(secret_handover, ignored);
  }
};

std::string given_secret(const LaunchOptions& options) {
  if (!options.secret.empty()) return options.secret;
  return options.secret_file.empty() ? "" : read_secret_file(options.secret_file);
}

// On one host, launchers without a secret share one through the user's private folder.
std::filesystem::path handover_file(const HostPort& master) {
  const auto runtime = process_environment()("XDG_RUNTIME_DIR").value_or("");
  return private_folder(runtime) / fmt::format("nodes-{}.meet", master.port);
}

// Node 0's side.
void serve_nodes(JobStore& job, Deadline deadline) {
  const bool hand_over = job.secret.empty();
  if (hand_over) job.secret = random_secret();
  job.server = serve_store(job.place.host, job.place.port, job.secret);
  if (hand_over) {
    job.secret_handover = handover_file(job.place);
    write_rendezvous(job.secret_handover, {.port = job.place.port, .secret = job.secret});
  }
  job.store = connect_store(job.place.host, job.place.port, job.secret, deadline);
}

// The other nodes' side.
void join_nodes(JobStore& job, Deadline deadline) {
  if (!job.secret.empty()) {
    job.store = connect_store(job.place.host, job.place.port, job.secret, deadline);
    return;
  }
  auto found = connect_through_file(job.place.host, handover_file(job.place), deadline);
  if (!found.store) {
    throw TimedOut(fmt::format("the launcher of node 0 has not started at {}:{} after {} ms",
                               job.place.host, job.place.port, deadline.waited().count()),
                   std::vector<int>{});
  }
  job.store = std::move(found.store);
  job.secret = std::move(found.secret);
}

std::unique_ptr<JobStore> open_store(const LaunchOptions& options, Deadline deadline) {
  auto job = std::make_unique<JobStore>();
  if (options.nodes == 1) {
    job->secret = random_secret();
    job->server = serve_store("127.0.0.1", 0, job->secret);
    job->place = {.host = "127.0.0.1", .port = job->server->port()};
    job->store = connect_store(job->place.host, job->place.port, job->secret, deadline);
    return job;
  }
  job->place = parse_host_port(options.master, "--master");
  job->secret = given_secret(options);
  if (job->secret.empty() && !is_loopback(job->place.host)) {
    throw InvalidInput(fmt::format(
        "launchers on several hosts need a shared secret to know each other: give every one the "
        "same --secret-file FILE (made with: umask 077; openssl rand -hex 16 > FILE), or a "
        "loopback --master instead of {}",
        job->place.host));
  }
  if (options.node_rank == 0) {
    serve_nodes(*job, deadline);
  } else {
    join_nodes(*job, deadline);
  }
  return job;
}

WorkerPlace place_of(const LaunchOptions& options, int local_rank, const HostPort& store) {
  const int first =
      options.first_rank >= 0 ? options.first_rank : options.node_rank * options.workers;
  return {.rank = first + local_rank,
          .size = options.world_size > 0 ? options.world_size : options.nodes * options.workers,
          .local_rank = local_rank,
          .local_size = options.workers,
          .master_address = store.host,
          .master_port = store.port,
          .secret = "",
          .source = "shoal",
          .store_is_torch = false,
          .rendezvous_file = {}};
}

// Survivors look at `lost/<rank>` to tell a dead worker from a slow one.
void publish_loss(Store& store, const Failure& failure) {
  try {
    store.set(fmt::format("lost/{}", failure.rank), failure.sentence,
              Deadline::after(std::chrono::seconds(1)));
  } catch (const Error&) {
    // The store went with node 0; who asks it for losses knows by that.
  }
}

void start_workers(Supervisor& supervisor, const LaunchOptions& options, const HostPort& store,
                   const OwnedFd& secret) {
  const std::string path = search_path();
  std::vector<std::string> argv = options.command;
  argv[0] = find_program(argv[0], path);
  const auto inherited = inherited_variables();
  for (int local = 0; local < options.workers; ++local) {
    const WorkerPlace place = place_of(options, local, store);
    std::vector<std::string> added = options.variables;
    const auto told = place_variables(place, secret.get());
    added.insert(added.end(), told.begin(), told.end());
    supervisor.start(
        {.rank = place.rank,
         .name = fmt::format("worker {}", place.rank),
         .where = options.nodes > 1 ? fmt::format(" on node {}", options.node_rank) : "",
         .command = {.argv = argv,
                     .variables = worker_variables(inherited, added),
                     .passed_fds = {secret.get()},
                     .has_input = false},
         .is_launcher = false});
  }
}

std::unique_ptr<NodeLink> link_nodes(const LaunchOptions& options, const JobStore& job,
                                     Deadline deadline) {
  if (options.nodes == 1) return nullptr;
  return std::make_unique<NodeLink>(job.store,
                                    NodeLinkOptions{.node = options.node_rank,
                                                    .nodes = options.nodes,
                                                    .workers = place_of(options, 0, job.place).size,
                                                    .join = seconds(options.join_seconds),
                                                    .silence = seconds(options.silence_seconds)},
                                    deadline);
}

int launch_here(const LaunchOptions& options, std::ostream& out, std::ostream& err,
                const StopRequest& stop) {
  const Deadline deadline = Deadline::after(seconds(options.join_seconds));
  const auto job = open_store(options, deadline);
  const auto neighbours = link_nodes(options, *job, deadline);
  const OwnedFd secret = secret_in_memory(job->secret);
  const bool alone = place_of(options, 0, job->place).size == 1;
  MergedOutput output(out, err,
                      {.prefix = !alone,
                       .verbatim_rank = options.plain_rank0 || alone ? 0 : -1,
                       .errors = alone ? HeldErrorsOptions{milliseconds(0), milliseconds(0)}
                                       : HeldErrorsOptions{}});
  Supervisor supervisor({.grace = seconds(options.grace_seconds),
                         .stop = seconds(options.stop_seconds),
                         .control_fd = options.control_fd},
                        output, stop, neighbours.get(),
                        [&](const Failure& failure) { publish_loss(*job->store, failure); });
  try {
    start_workers(supervisor, options, job->place, secret);
  } catch (const Error& error) {
    if (neighbours) {
      neighbours->tell_failure(
          {.rank = -1,
           .exit_code = 2,
           .sentence = fmt::format("node {}: {}", options.node_rank, error.what())});
      neighbours->tell_done();
    }
    throw;
  }
  const int code = supervisor.run();
  if (neighbours) neighbours->tell_done();
  return code;
}

}  // namespace

std::vector<std::string> LaunchOptions::problems() const {
  std::vector<std::string> faults;
  const auto fault_if = [&](bool bad, std::string text) {
    if (bad) faults.push_back(std::move(text));
  };
  fault_if(command.empty(), "no program was given: name it after --");
  fault_if(workers < 1 || workers > kMostWorkers,
           fmt::format("-n is {}: give 1 to {} workers", workers, kMostWorkers));
  fault_if(nodes < 1 || nodes > kMostWorkers, fmt::format("--nodes is {}: give 1 or more", nodes));
  fault_if(
      node_rank < 0 || node_rank >= nodes,
      fmt::format("--node-rank is {}: with --nodes {} give 0 to {}", node_rank, nodes, nodes - 1));
  fault_if(nodes > 1 && master.empty(),
           "--nodes needs --master HOST:PORT, where the launcher of node 0 is reached");
  fault_if(nodes > 1 && !hosts_file.empty(),
           "--hosts and --nodes exclude each other: --hosts starts all launchers by itself");
  const bool ranks_given = first_rank >= 0 || world_size >= 0;
  fault_if(ranks_given && (first_rank < 0 || world_size < first_rank + workers),
           fmt::format("--first-rank {} and --world-size {} do not hold {} workers", first_rank,
                       world_size, workers));
  for (const auto& [name, value] :
       {std::pair{"--join-seconds", join_seconds}, std::pair{"--grace-seconds", grace_seconds},
        std::pair{"--stop-seconds", stop_seconds},
        std::pair{"--silence-seconds", silence_seconds}}) {
    fault_if(!(value > 0) || value > 1e7,
             fmt::format("{} is {}: give a number of seconds above 0", name, value));
  }
  return faults;
}

int launch(const LaunchOptions& options, std::ostream& out, std::ostream& err,
           const StopRequest& stop) {
  require_none(options.problems());
  if (!options.hosts_file.empty()) return launch_on_hosts(options, out, err, stop);
  return launch_here(options, out, err, stop);
}

}  // namespace shoal

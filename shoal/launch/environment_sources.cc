#include "shoal/launch/environment_sources.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string_view>

#include "shoal/core/error.h"
#include "shoal/launch/nodelist.h"
#include "shoal/launch/secret.h"

namespace shoal {
namespace {

// FNV-1a: names a job by its identifying variables; no secret depends on it.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

// The same on every host of the job, and below the range from which systems take ports for
// outgoing connections (32768 and up on Linux).
int port_of_job(const std::string& job) { return 10000 + static_cast<int>(hash_of(job) % 20000); }

// How the workers of a launcher that serves no store find rank 0.
struct Meeting {
  std::string job;             // the same for all workers of the job and for no other job
  std::string secret;          // what the launcher shares, may be empty
  std::string master_address;  // rank 0's host, may be empty
};

void plan_meeting(WorkerPlace& place, const Variables& variables, const Meeting& meeting) {
  const auto given = secret_from_environment(variables.lookup());
  place.secret = given.value_or(meeting.secret);
  const bool one_host = place.local_size == place.size;
  if (one_host && !given) {
    const auto runtime = variables.text("XDG_RUNTIME_DIR").value_or("");
    place.master_address = "127.0.0.1";
    place.rendezvous_file = private_folder(runtime) /
                            fmt::format("{}-{:016x}.meet", place.source, hash_of(meeting.job));
    return;
  }
  place.master_address = variables.text("MASTER_ADDR").value_or(meeting.master_address);
  if (place.master_address.empty() && one_host) place.master_address = "127.0.0.1";
  place.master_port = variables.number("MASTER_PORT").value_or(port_of_job(meeting.job));
  if (place.master_address.empty()) {
    throw InvalidInput(
        fmt::format("{} does not tell on which host rank 0 runs: set MASTER_ADDR to its address",
                    place.source));
  }
  if (place.secret.empty()) {
    throw InvalidInput(fmt::format(
        "the workers of {} are on several hosts and share no secret: set SHOAL_SECRET_FILE to a "
        "file that all of them can read (made with: umask 077; openssl rand -hex 16 > FILE)",
        place.source));
  }
}

// The process among our ancestors that is called `name`, as "pid.start"; our parent when none is.
std::string ancestor(std::string_view name) {
  std::string parent;
  for (long pid = ::getppid(); pid > 1;) {
    std::ifstream stat(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(stat, line);
    const auto open = line.find('(');
    const auto close = line.rfind(')');  // the name itself may hold brackets
    if (open == std::string::npos || close == std::string::npos) break;
    std::istringstream rest(line.substr(close + 1));
    std::string state;
    long above = 0;
    rest >> state >> above;
    std::string start;
    for (int field = 5; field <= 22; ++field) rest >> start;  // field 22: when it started
    const std::string found = fmt::format("{}.{}", pid, start);
    if (parent.empty()) parent = found;
    if (line.substr(open + 1, close - open - 1) == name) return found;
    pid = above;
  }
  return parent;
}

// "123.0;tcp://192.0.2.2:55689;tcp6://..." -> "192.0.2.2": where mpirun runs, by default rank 0
// too.
std::string host_of_uri(const std::string& uri) {
  const auto begin = uri.find("tcp://");
  if (begin == std::string::npos) return "";
  const auto from = begin + 6;
  return uri.substr(from, uri.find_first_of(",:;", from) - from);
}

}  // namespace

std::optional<int> Variables::number(const std::string& name) const {
  const auto value = lookup_(name);
  if (!value) return std::nullopt;
  int result = 0;
  const char* end = value->data() + value->size();
  const auto [stop, error] = std::from_chars(value->data(), end, result);
  if (error != std::errc() || stop != end || result < 0) {
    throw InvalidInput(fmt::format("{} is '{}': a whole number from 0 was expected", name, *value));
  }
  return result;
}

std::string Variables::needed_text(const std::string& name, const std::string& source) const {
  const auto value = lookup_(name);
  if (!value || value->empty()) {
    throw InvalidInput(
        fmt::format("the variables of {} are incomplete: {} is not set", source, name));
  }
  return *value;
}

int Variables::needed_number(const std::string& name, const std::string& source) const {
  needed_text(name, source);
  return number(name).value();
}

bool Variables::any_of(std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    if (lookup_(name)) return true;
  }
  return false;
}

std::optional<WorkerPlace> place_of_shoal(const Variables& variables) {
  if (!variables.any_of({"SHOAL_RANK", "SHOAL_SIZE", "SHOAL_STORE"})) return std::nullopt;
  WorkerPlace place{.source = "shoal"};
  place.rank = variables.needed_number("SHOAL_RANK", place.source);
  place.size = variables.needed_number("SHOAL_SIZE", place.source);
  place.local_rank = variables.number("SHOAL_LOCAL_RANK").value_or(0);
  place.local_size = variables.number("SHOAL_LOCAL_SIZE").value_or(place.local_rank + 1);
  const auto store =
      parse_host_port(variables.needed_text("SHOAL_STORE", place.source), "SHOAL_STORE");
  place.master_address = store.host;
  place.master_port = store.port;
  if (const auto fd = variables.number("SHOAL_SECRET_FD")) {
    place.secret = read_secret_fd(*fd);
  } else if (const auto given = secret_from_environment(variables.lookup())) {
    place.secret = *given;
  } else {
    throw InvalidInput(
        "the variables of shoal are incomplete: none of SHOAL_SECRET_FD, SHOAL_SECRET_FILE and "
        "SHOAL_SECRET is set");
  }
  return place;
}

std::optional<WorkerPlace> place_of_torchrun(const Variables& variables) {
  // RANK alone is too common a name to be taken for torchrun's.
  if (!variables.any_of({"WORLD_SIZE", "TORCHELASTIC_RUN_ID"})) return std::nullopt;
  WorkerPlace place{.source = "torchrun"};
  place.rank = variables.needed_number("RANK", place.source);
  place.size = variables.needed_number("WORLD_SIZE", place.source);
  place.local_rank = variables.number("LOCAL_RANK").value_or(0);
  place.local_size = variables.number("LOCAL_WORLD_SIZE").value_or(place.local_rank + 1);
  const std::string address = variables.needed_text("MASTER_ADDR", place.source);
  const int port = variables.needed_number("MASTER_PORT", place.source);
  if (port < 1 || port > 65535) {
    throw InvalidInput(fmt::format("MASTER_PORT is {}: give a port from 1 to 65535", port));
  }
  if (variables.text("TORCHELASTIC_USE_AGENT_STORE") == "True") {
    place.store_is_torch = true;
    place.master_address = address;
    place.master_port = port;
    return place;
  }
  const std::string run =
      fmt::format("{}:{} {} {}", address, port, variables.text("TORCHELASTIC_RUN_ID").value_or(""),
                  variables.text("TORCHELASTIC_RESTART_COUNT").value_or(""));
  plan_meeting(place, variables, {.job = run, .secret = "", .master_address = address});
  return place;
}

std::optional<WorkerPlace> place_of_open_mpi(const Variables& variables) {
  if (!variables.any_of({"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"})) return std::nullopt;
  WorkerPlace place{.source = "mpirun", .mpi = Mpi::open_mpi};
  place.rank = variables.needed_number("OMPI_COMM_WORLD_RANK", place.source);
  place.size = variables.needed_number("OMPI_COMM_WORLD_SIZE", place.source);
  place.local_rank = variables.needed_number("OMPI_COMM_WORLD_LOCAL_RANK", place.source);
  place.local_size = variables.needed_number("OMPI_COMM_WORLD_LOCAL_SIZE", place.source);
  // A key that mpirun draws for each job and hands to all its workers, so that they may trust each
  // other's network: exactly our purpose.
  const auto key = variables.text("OMPI_MCA_orte_precondition_transports").value_or("");
  const auto server = variables.text("OMPI_MCA_orte_hnp_uri").value_or("");
  auto job = variables.text("PMIX_NAMESPACE");
  if (!job) job = variables.text("OMPI_MCA_ess_base_jobid");
  if (!job) {
    throw InvalidInput(
        "the variables of mpirun are incomplete: neither PMIX_NAMESPACE nor "
        "OMPI_MCA_ess_base_jobid is set, so workers of two jobs could not be told apart");
  }
  plan_meeting(place, variables,
               {.job = fmt::format("{} {} {}", *job, server, key),
                .secret = key,
                .master_address = host_of_uri(server)});
  return place;
}

std::optional<WorkerPlace> place_of_hydra(const Variables& variables) {
  // srun sets PMI_* too; MPI_LOCALRANKID comes from Hydra only.
  if (!variables.any_of({"PMI_RANK", "PMI_SIZE"})) return std::nullopt;
  if (!variables.text("MPI_LOCALRANKID") && variables.text("SLURM_PROCID")) return std::nullopt;
  WorkerPlace place{.source = "mpirun", .mpi = Mpi::mpich};
  place.rank = variables.needed_number("PMI_RANK", place.source);
  place.size = variables.needed_number("PMI_SIZE", place.source);
  place.local_rank = variables.needed_number("MPI_LOCALRANKID", place.source);
  place.local_size = variables.needed_number("MPI_LOCALNRANKS", place.source);
  // Hydra tells no name of the job; on one host all workers stem from one proxy process.
  const bool one_host = place.local_size == place.size;
  plan_meeting(place, variables,
               {.job = one_host ? ancestor("hydra_pmi_proxy").insert(0, "hydra ") : "hydra",
                .secret = "",
                .master_address = ""});
  return place;
}

std::optional<WorkerPlace> place_of_srun(const Variables& variables) {
  // A batch script has SLURM_PROCID as well, but no step: it is no worker.
  auto step = variables.text("SLURM_STEP_ID");
  if (!step) step = variables.text("SLURM_STEPID");
  if (!step || !variables.text("SLURM_PROCID")) return std::nullopt;
  WorkerPlace place{.source = "srun"};
  if (variables.text("PMI_RANK")) place.mpi = Mpi::mpich;
  if (variables.text("PMIX_RANK")) place.mpi = Mpi::open_mpi;
  place.rank = variables.needed_number("SLURM_PROCID", place.source);
  const auto of_step = variables.number("SLURM_STEP_NUM_TASKS");
  place.size = of_step ? *of_step : variables.needed_number("SLURM_NTASKS", place.source);
  place.local_rank = variables.needed_number("SLURM_LOCALID", place.source);
  if (const auto tasks = variables.text("SLURM_STEP_TASKS_PER_NODE")) {
    const auto counts = tasks_by_node(*tasks);
    const auto node = static_cast<std::size_t>(variables.number("SLURM_NODEID").value_or(0));
    if (node >= counts.size()) {
      throw InvalidInput(
          fmt::format("the variables of srun contradict each other: SLURM_NODEID is {} and "
                      "SLURM_STEP_TASKS_PER_NODE is '{}'",
                      node, *tasks));
    }
    place.local_size = counts[node];
  } else {
    const bool one_node = variables.number("SLURM_STEP_NUM_NODES").value_or(0) == 1;
    place.local_size = one_node ? place.size : place.local_rank + 1;
  }
  auto nodes = variables.text("SLURM_STEP_NODELIST");
  if (!nodes) nodes = variables.text("SLURM_NODELIST");
  auto job = variables.text("SLURM_JOB_ID");
  if (!job) job = variables.needed_text("SLURM_JOBID", place.source);
  plan_meeting(place, variables,
               {.job = fmt::format("slurm {}.{}", *job, *step),
                .secret = "",
                .master_address = nodes ? first_host(*nodes)
                                        : variables.text("SLURM_LAUNCH_NODE_IPADDR").value_or("")});
  return place;
}

}  // namespace shoal

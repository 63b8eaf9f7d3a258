// Where this process stands in its job, as told by whoever started it. The environment is read in
// this module and in the command only.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/world.h"

namespace shoal {

// The value of a variable; nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

EnvironmentLookup process_environment();
// Where this process finds programs: its PATH, or the system's usual one.
std::string search_path();
// All "NAME=value" of this process, for children to inherit.
std::vector<std::string> inherited_variables();

struct WorkerPlace {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the workers of this host, as far as the launcher tells
  int local_size = 1;

  // Where the store is, or, when nobody serves one yet, where rank 0 is to serve it.
  std::string master_address{};
  int master_port = 0;
  std::string secret{};  // proved to the store; empty for torchrun's store, which has none

  std::string source = "none";  // "shoal", "torchrun", "mpirun", "srun"
  bool store_is_torch = false;  // torchrun's agent already serves a c10d TCPStore at the master
  Mpi mpi = Mpi::automatic;     // that can find the other workers; automatic: none, or not known

  // Not empty when all workers are on this host and nobody gave a secret: rank 0 then leaves its
  // port and a random secret in this file, in a folder that only this user can enter.
  std::filesystem::path rendezvous_file{};
};

// Understands, first match wins:
//   shoal      SHOAL_RANK, SHOAL_SIZE, SHOAL_LOCAL_RANK, SHOAL_LOCAL_SIZE, SHOAL_STORE=host:port
//              and the secret in SHOAL_SECRET_FD (inherited memory file), SHOAL_SECRET_FILE or
//              SHOAL_SECRET
//   torchrun   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT,
//              TORCHELASTIC_USE_AGENT_STORE, TORCHELASTIC_RUN_ID; also what Kubernetes operators
//              set
//   mpirun     Open MPI: OMPI_COMM_WORLD_*; MPICH and Intel (Hydra): PMI_RANK, PMI_SIZE,
//              MPI_LOCALRANKID, MPI_LOCALNRANKS
//   srun       SLURM_STEP_ID, SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_STEP_NODELIST, ...
//              and PMIX_RANK (Open MPI) or PMI_RANK (MPICH), as srun --mpi says
// MASTER_ADDR, MASTER_PORT and SHOAL_SECRET(_FILE) are honoured for every launcher: workers on
// several hosts need them where the launcher tells no address or shares no secret.
// Nothing when no launcher's variables are set (a batch script of Slurm alone is no worker).
// Throws InvalidInput with one sentence when variables are missing, malformed or contradictory.
// Reads secret files and, for Hydra, /proc; does not block.
std::optional<WorkerPlace> place_from_environment(const EnvironmentLookup& lookup);

// The secret the user gave by SHOAL_SECRET_FILE or SHOAL_SECRET, if any. Throws InvalidInput.
std::optional<std::string> secret_from_environment(const EnvironmentLookup& lookup);

struct HostPort {
  std::string host;
  int port = 0;
};
// "host:port" or "[ipv6]:port". Throws InvalidInput beginning with `what`.
HostPort parse_host_port(const std::string& text, const std::string& what);

}  // namespace shoal

// The workers of a job, as one of them sees it: its rank, and how to form groups.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/comm/store.h"

namespace shoal {

enum class Engine : std::uint8_t {
  // memory for threads and shm for processes when all members are on one host; hierarchical when
  // two of them share one, else tcp.
  automatic,
  memory,
  shm,
  tcp,
  hierarchical,  // shm between ranks of one host, tcp between hosts
  mpi,           // messages of the MPI whose launcher started the processes
};
inline constexpr Engine kEngines[] = {Engine::automatic, Engine::memory,       Engine::shm,
                                      Engine::tcp,       Engine::hierarchical, Engine::mpi};
std::string_view name_of(Engine engine);

enum class Mpi : std::uint8_t { automatic, open_mpi, mpich };
inline constexpr Mpi kMpis[] = {Mpi::automatic, Mpi::open_mpi, Mpi::mpich};
std::string_view name_of(Mpi which);  // "automatic", "openmpi", "mpich"
class MpiProcess;

// For tests of the tcp engine: it has to be right however the network cuts and delays its bytes.
struct TearBytes {
  std::uint64_t seed = 0;       // 0: off. Same seed, same cuts of the same calls.
  int socket_buffer_bytes = 0;  // small ones force partial writes; 0: the engine's own
};

struct CommOptions {
  Engine engine = Engine::automatic;
  Mpi mpi = Mpi::automatic;  // of engine mpi; automatic: the launcher's, as module launch knows it
  Algorithm algorithm = Algorithm::automatic;
  std::string choices;       // file for Algorithm::automatic (choices.h); empty: the shipped table
  std::string topology;      // file with the links of the world's ranks; empty: all alike
  double join_seconds = 60;  // to wait for all workers at the start
  double collective_seconds = 300;  // for one collective or receive
  double death_seconds = 1;         // within which a dead worker is noticed
  std::string
      interface_address;  // to listen on for tcp; empty: the address that routes to the peer
  // Of a second network between hosts; empty: there is none. All-reduces of tcp groups use both.
  std::string second_interface_address;
  int ranks_per_host = 0;  // so many ranks in a row count as a host; 0: hosts are what they are
  // No options of job files, but for tests.
  TearBytes tear_bytes;
  std::function<std::shared_ptr<MpiProcess>(int rank)> mpi_process;  // in place of the launcher's
  std::vector<std::string> problems() const;
};
struct OptionTable;
OptionTable describe(CommOptions& options);  // table "comm"

// Thread safe. Owns the groups' connections; destroying it closes them.
class World {
 public:
  virtual ~World() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  // among the workers of this host
  virtual int local_size() const = 0;
  virtual std::vector<int> hosts() const = 0;  // by rank: the lowest rank of its host
  virtual Store& store() = 0;
  virtual const CommOptions& options() const = 0;
  // In words what decides how a group of `ranks` adds: groups of which equal words are said give
  // equal bits.
  virtual std::string order_of_sums(const std::vector<int>& ranks) const = 0;

  // Forms a group of `ranks` (world ranks, ascending, ours among them); all of them call it with
  // the same `name`, which is used once. Blocks until all have come.
  virtual std::unique_ptr<Group> form_group(const std::string& name, const std::vector<int>& ranks,
                                            Deadline deadline) = 0;
};

std::vector<int> all_ranks(int size);  // 0, 1, ..., size - 1

struct Membership {
  int rank = 0;
  int size = 1;
};

// Joins the world `name` in `store`: exchanges host identity (boot id and a token seen through
// shared memory, not a host name) and process ids, and waits until all `size` have come.
// Throws TimedOut naming the ranks that did not come, PeerLost when one died meanwhile,
// InvalidInput when two workers say that they are the same rank. One store serves one world; give a
// second one another prefix (with_prefix).
std::unique_ptr<World> join_world(std::shared_ptr<Store> store, Membership me,
                                  const CommOptions& options, Deadline deadline);

// Runs `body` once per rank, each in a thread with a World over memory, and returns when all have
// ended. When a rank throws, the others' groups are aborted and the first exception is rethrown.
void run_ranks(int size, const CommOptions& options, const std::function<void(World&)>& body);

}  // namespace shoal

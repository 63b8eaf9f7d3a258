// Times collectives, as `shoal comm bench` does: every rank writes its buffer anew before each
// call, all ranks meet, and what counts is the slowest rank of each call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/world.h"

namespace shoal {

inline constexpr Operation kMeasuredOperations[] = {
    Operation::all_reduce, Operation::all_gather, Operation::reduce_scatter,
    Operation::broadcast,  Operation::all_to_all, Operation::barrier};

struct MeasureOptions {
  Engine engine = Engine::shm;                // memory: ranks are threads; else processes
  int ranks_per_host = 0;                     // as in CommOptions
  Algorithm algorithm = Algorithm::two_shot;  // that the operation has
  std::string choices;                        // as in CommOptions
  Operation operation = Operation::all_reduce;
  bool shared_buffers = false;  // from Group::allocate: over memory and shm
  int ranks = 2;
  // The sizes, each four times the one before. A size is what one rank holds: all that is reduced,
  // sent or handed out, or all that is gathered. Without meaning for a barrier.
  std::int64_t from_bytes = 4;
  std::int64_t to_bytes = std::int64_t{256} << 20;
  int repetitions = 5;  // of a size; each of 5 (large) to 400 (small) calls
  std::vector<std::string> problems() const;
  CommOptions comm() const;  // of the groups that are measured
};

// Rounded up so that every rank has a whole number of float32, each once; {0} for a barrier.
std::vector<std::int64_t> measured_sizes(const MeasureOptions& options);

// Of one size, in seconds; of each call the time of its slowest rank.
struct Measured {
  std::int64_t bytes = 0;
  int calls = 0;      // timed, of all repetitions
  double median = 0;  // of the repetitions' medians
  double least = 0;   // of the repetitions' medians
  double most = 0;    // likewise
  double p99 = 0;     // of all calls
};
// The times of all calls, `calls_each` of every repetition after another.
Measured summary_of(std::int64_t bytes, const std::vector<double>& seconds, int calls_each);

// Bytes per second. The bus bandwidth is what a link carries in the best schedule, so that
// operations and numbers of ranks compare: the algorithm's times 2(n-1)/n for all_reduce, (n-1)/n
// for all_gather, reduce_scatter and all_to_all, 1 for broadcast.
double algorithm_bandwidth(const Measured& measured);
double bus_bandwidth(const Measured& measured, Operation operation, int ranks);

// Measures all sizes; `on_size` hears of each when it is done. Results are compared with the right
// ones after each size. Each rank has a core of its own when there are enough; with processes, the
// caller must have no threads (they are forked). Blocks; a collective has `collective_seconds`.
// Throws InvalidInput (options, or more memory than there is), what the groups throw, and Error
// when a result is wrong.
std::vector<Measured> measure(const MeasureOptions& options,
                              const std::function<void(const Measured&)>& on_size);

// The same among the ranks of a group that exists, on whatever hosts: all of them call it, and rank
// 0 gets the figures. They meet in another group of the same ranks. `engine` and `ranks` of the
// options are the group's own.
std::vector<Measured> measure_among(Group& group, Group& meeting, const MeasureOptions& options,
                                    double collective_seconds,
                                    const std::function<void(const Measured&)>& on_size);

}  // namespace shoal

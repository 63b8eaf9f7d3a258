// Finds out which algorithms are fastest here, as `shoal comm tune` does.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "shoal/comm/choices.h"
#include "shoal/comm/measure.h"

namespace shoal {

struct TuneOptions {
  Engine engine = Engine::tcp;
  Operation operation = Operation::all_reduce;
  int ranks = 2;
  int ranks_per_host = 0;  // as in CommOptions
  std::int64_t from_bytes = 4;
  std::int64_t to_bytes = std::int64_t{16} << 20;
  int rounds = 3;  // of all algorithms, one after another, so that a slow minute strikes them alike
  std::vector<std::string> problems() const;
};

// Those that come into question: not hop_by_hop, which is for comparison, nor tree, which is for
// links that differ. Where an engine has only one, there is nothing to tune.
std::vector<Algorithm> tuned_algorithms(Engine engine, Operation operation);

// By size and algorithm: the median of the rounds, in seconds.
using Timings = std::map<std::int64_t, std::map<Algorithm, double>>;

// An algorithm takes over from the one before it, at first from `usual`, where it is faster by more
// than one twentieth: less is noise. It does so half-way (in the logarithm) to the size before.
std::vector<Choice> choices_of(const TuneOptions& options, const Timings& timings, Algorithm usual);
Algorithm usual_algorithm(Engine engine);

// Measures as measure() does, and throws the same. `on_round` hears of each algorithm in each
// round.
Timings time_algorithms(const TuneOptions& options,
                        const std::function<void(Algorithm, int round)>& on_round);

}  // namespace shoal

// Names of engines and algorithms in commands. Throw InvalidInput listing what there is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/world.h"

namespace shoal {

Algorithm algorithm_called(const std::string& name);
std::vector<Engine> engines_called(const std::string& name);  // empty: all
std::string engine_names();                                   // "memory, shm, ..."
// Of ranks that a command makes by itself: mpi is none of them, and refused by name.
std::vector<Engine> engines_alone(const std::string& name, const std::string& command);

// `given`, or half of the ranks, rounded up.
int ranks_per_host_of(std::optional<int> given, int ranks);

}  // namespace shoal

#include "shoal/cli/comm_names.h"

#include <fmt/format.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/error.h"

namespace shoal {

Algorithm algorithm_called(const std::string& name) {
  for (const Algorithm algorithm : kAlgorithms) {
    if (name == name_of(algorithm)) return algorithm;
  }
  throw InvalidInput(
      fmt::format("there is no algorithm '{}': choose one of {}", name, algorithm_names()));
}

std::vector<Engine> engines_called(const std::string& name) {
  std::vector<Engine> engines;
  for (const Engine engine : kEngines) {
    if (engine != Engine::automatic && (name.empty() || name == name_of(engine))) {
      engines.push_back(engine);
    }
  }
  if (!engines.empty()) return engines;
  throw InvalidInput(fmt::format("there is no engine '{}': choose one of memory, shm, tcp", name));
}

}  // namespace shoal

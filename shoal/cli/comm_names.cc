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
  throw InvalidInput(
      fmt::format("there is no engine '{}': choose one of {}", name, engine_names()));
}

std::vector<Engine> engines_alone(const std::string& name, const std::string& command) {
  std::vector<Engine> engines = engines_called(name);
  std::erase(engines, Engine::mpi);
  if (!engines.empty()) return engines;
  throw InvalidInput(fmt::format(
      "engine mpi needs processes that an MPI has started: mpirun -n 4 shoal comm {} --engine mpi",
      command));
}

std::string engine_names() {
  std::string names;
  for (const Engine engine : engines_called("")) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(engine));
  }
  return names;
}

int ranks_per_host_of(std::optional<int> given, int ranks) {
  if (given && *given < 1) {
    throw InvalidInput(fmt::format("--ranks-per-host {}: give 1 or more", *given));
  }
  return given.value_or((ranks + 1) / 2);
}

}  // namespace shoal

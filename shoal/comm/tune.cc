#include "shoal/comm/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/error.h"
#include "shoal/core/statistics.h"

namespace shoal {
namespace {

MeasureOptions measured_by(const TuneOptions& options, Algorithm algorithm) {
  MeasureOptions measured;
  measured.engine = options.engine;
  measured.ranks_per_host = options.ranks_per_host;
  measured.algorithm = algorithm;
  measured.operation = options.operation;
  measured.ranks = options.ranks;
  measured.from_bytes = options.from_bytes;
  measured.to_bytes = options.to_bytes;
  measured.repetitions = 1;
  return measured;
}

}  // namespace

std::vector<std::string> TuneOptions::problems() const {
  std::vector<std::string> faults = measured_by(*this, Algorithm::two_shot).problems();
  if (rounds < 1 || rounds > 100) {
    faults.push_back(fmt::format("{} rounds: give 1 to 100", rounds));
  }
  if (faults.empty() && tuned_algorithms(engine, operation).size() < 2) {
    faults.push_back(fmt::format("{} has one way of {} only: there is nothing to tune",
                                 name_of(engine), name_of(operation)));
  }
  return faults;
}

std::vector<Algorithm> tuned_algorithms(Engine engine, Operation operation) {
  std::vector<Algorithm> algorithms;
  for (const Algorithm algorithm : kAlgorithms) {
    const bool in_question =
        algorithm != Algorithm::hop_by_hop && algorithm != Algorithm::tree &&
        (algorithm != Algorithm::hierarchical || engine == Engine::hierarchical);
    if (in_question && has_algorithm(operation, algorithm)) algorithms.push_back(algorithm);
  }
  return algorithms;
}

Algorithm usual_algorithm(Engine engine) {
  return engine == Engine::hierarchical ? Algorithm::hierarchical : Algorithm::two_shot;
}

std::vector<Choice> choices_of(const TuneOptions& options, const Timings& timings,
                               Algorithm usual) {
  constexpr double kFaster = 0.95;
  std::vector<Choice> choices;
  std::int64_t before = 0;
  Algorithm in_force = usual;
  for (const auto& [bytes, times] : timings) {
    const auto best =
        std::min_element(times.begin(), times.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const bool takes_over = best->second < kFaster * times.at(in_force);
    if (takes_over || choices.empty()) {
      if (takes_over) in_force = best->first;
      const auto middle =
          std::llround(std::sqrt(static_cast<double>(before) * static_cast<double>(bytes)));
      choices.push_back({.engine = options.engine,
                         .operation = options.operation,
                         .ranks = options.ranks,
                         .from_bytes = choices.empty() ? 0 : middle,
                         .algorithm = in_force});
    }
    before = bytes;
  }
  return choices;
}

Timings time_algorithms(const TuneOptions& options,
                        const std::function<void(Algorithm, int round)>& on_round) {
  require_none(options.problems());
  std::map<std::int64_t, std::map<Algorithm, std::vector<double>>> rounds;
  for (int round = 0; round < options.rounds; ++round) {
    for (const Algorithm algorithm : tuned_algorithms(options.engine, options.operation)) {
      on_round(algorithm, round);
      for (const Measured& one : measure(measured_by(options, algorithm), [](const Measured&) {})) {
        rounds[one.bytes][algorithm].push_back(one.median);
      }
    }
  }
  Timings timings;
  for (const auto& [bytes, algorithms] : rounds) {
    for (const auto& [algorithm, times] : algorithms) {
      timings[bytes][algorithm] = median_of(times);
    }
  }
  return timings;
}

}  // namespace shoal

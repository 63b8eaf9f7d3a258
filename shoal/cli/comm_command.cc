#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/error.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

constexpr std::int64_t kFloat32 = 4;

Algorithm algorithm_called(const std::string& name) {
  std::string known;
  for (const Algorithm algorithm : kAlgorithms) {
    if (name == name_of(algorithm)) return algorithm;
    known += (known.empty() ? "" : ", ") + std::string(name_of(algorithm));
  }
  throw InvalidInput(fmt::format("there is no algorithm '{}': choose one of {}", name, known));
}

void print_schedule(const Schedule& schedule, std::int64_t elements) {
  const ScheduleCounts counts = count(schedule, elements);
  std::cout << fmt::format("{} of {} ranks, {} x float32 ({}) on each, {} chunk{}\n",
                           schedule.algorithm, schedule.size, elements,
                           human_bytes(elements * kFloat32), schedule.chunks,
                           schedule.chunks == 1 ? "" : "s")
            << text_of(schedule);
  const auto most = *std::max_element(counts.sent.begin(), counts.sent.end());
  std::cout << fmt::format("{} steps, {} in all, {} at most from one rank\n", counts.steps,
                           human_bytes(counts.total * kFloat32), human_bytes(most * kFloat32));
  for (int rank = 0; rank < schedule.size; ++rank) {
    std::string links;
    for (int to = 0; to < schedule.size; ++to) {
      const std::int64_t moved = counts.link[rank][to];
      if (moved != 0) links += fmt::format("  to {}: {}", to, human_bytes(moved * kFloat32));
    }
    std::cout << fmt::format("rank {} sends {}{}\n", rank,
                             human_bytes(counts.sent[rank] * kFloat32), links);
  }
}

}  // namespace

int comm_plan_command(const CommPlanArguments& arguments) {
  try {
    const Algorithm algorithm = algorithm_called(arguments.algorithm);
    if (arguments.ranks < 1 || arguments.ranks > 128) {
      throw InvalidInput(fmt::format("-n {}: give 1 to 128 ranks", arguments.ranks));
    }
    if (arguments.elements < 0) {
      throw InvalidInput(fmt::format("--elements {}: give 0 or more", arguments.elements));
    }
    const Schedule schedule = schedule_of(algorithm, arguments.ranks);
    print_schedule(schedule, arguments.elements);
    const std::string problem = problem_of(schedule);
    if (problem.empty()) return kOk;
    std::cerr << "error: this is no all-reduce: " << problem << std::endl;
    return kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

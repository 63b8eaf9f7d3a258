#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "shoal/cli/comm_names.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/try_group.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

constexpr std::int64_t kFloat32 = 4;

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

nlohmann::json to_json(const Schedule& schedule, std::int64_t elements) {
  const ScheduleCounts counts = count(schedule, elements);
  nlohmann::json json = {
      {"algorithm", schedule.algorithm}, {"ranks", schedule.size},    {"elements", elements},
      {"element_type", "float32"},       {"chunks", schedule.chunks}, {"steps", counts.steps},
      {"bytes", counts.total * kFloat32}};
  for (int rank = 0; rank < schedule.size; ++rank) {
    json["bytes_from_rank"].push_back(counts.sent[rank] * kFloat32);
  }
  json["transfers"] = nlohmann::json::array();
  for (const Transfer& transfer : schedule.transfers) {
    json["transfers"].push_back(
        {{"step", transfer.step},
         {"from", transfer.from},
         {"to", transfer.to},
         {"first_chunk", transfer.first},
         {"chunks", transfer.chunks},
         {"effect", transfer.effect == Transfer::Effect::add ? "add" : "replace"},
         {"bytes", elements_of(schedule, transfer, elements) * kFloat32}});
  }
  return json;
}

// The ranks are threads, whatever the engine. Returns how many results were wrong.
std::size_t try_engine(Engine engine, Algorithm algorithm, int ranks) {
  CommOptions options;
  options.engine = engine;
  options.algorithm = algorithm;
  std::mutex mutex;
  TrialReport all;
  run_ranks(ranks, options, [&](World& world) {
    std::vector<int> members(static_cast<std::size_t>(ranks));
    std::iota(members.begin(), members.end(), 0);
    const Deadline deadline = Deadline::after_seconds(options.collective_seconds);
    const auto group = world.form_group("test", members, deadline);
    const TrialReport own = try_group(*group, algorithm, options.collective_seconds);
    const std::lock_guard lock(mutex);
    all.results += own.results;
    all.faults.insert(all.faults.end(), own.faults.begin(), own.faults.end());
  });
  std::cout << fmt::format(
                   "{:<7} {:<19} {} ranks  {:>6} results  {}", name_of(engine), name_of(algorithm),
                   ranks, all.results,
                   all.faults.empty() ? "all right" : fmt::format("{} wrong", all.faults.size()))
            << std::endl;
  for (const std::string& fault : all.faults) std::cout << "  " << fault << "\n";
  return all.faults.size();
}

void require_ranks(int ranks) {
  if (ranks >= 1 && ranks <= 128) return;
  throw InvalidInput(fmt::format("-n {}: give 1 to 128 ranks", ranks));
}

}  // namespace

int comm_test_command(const CommTestArguments& arguments) {
  try {
    require_ranks(arguments.ranks);
    const auto engines = engines_called(arguments.engine);
    std::vector<Algorithm> algorithms(std::begin(kAlgorithms), std::end(kAlgorithms));
    if (!arguments.algorithm.empty()) algorithms = {algorithm_called(arguments.algorithm)};
    std::size_t wrong = 0;
    for (const Engine engine : engines) {
      for (const Algorithm algorithm : algorithms) {
        wrong += try_engine(engine, algorithm, arguments.ranks);
      }
    }
    return wrong == 0 ? kOk : kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

int comm_plan_command(const CommPlanArguments& arguments) {
  try {
    const Algorithm algorithm = algorithm_called(arguments.algorithm);
    require_ranks(arguments.ranks);
    if (arguments.elements < 0) {
      throw InvalidInput(fmt::format("--elements {}: give 0 or more", arguments.elements));
    }
    const Schedule schedule = schedule_of(algorithm, arguments.ranks);
    if (!arguments.json.empty()) {
      replace_file(arguments.json, to_json(schedule, arguments.elements).dump(2) + "\n");
    }
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

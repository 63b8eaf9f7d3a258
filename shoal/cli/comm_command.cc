#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "shoal/cli/comm_names.h"
#include "shoal/cli/comm_times.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/job_worlds.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/algorithms/tree_packing.h"
#include "shoal/comm/schedule_time.h"
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

std::vector<int> hosts_of(std::optional<int> ranks_per_host, int ranks) {
  std::vector<int> hosts;
  const int each = ranks_per_host_of(ranks_per_host, ranks);
  for (int rank = 0; rank < ranks; ++rank) hosts.push_back(rank / each);
  return hosts;
}

// What an all-reduce on a topology looks like.
struct OnTopology {
  Topology topology;
  Schedule schedule;
  ScheduleTime time;
  std::optional<TreePacking> packing;  // of algorithm tree
};

OnTopology on_topology(const CommPlanArguments& arguments, Algorithm algorithm) {
  const Topology topology = read_topology(arguments.topology);
  if (arguments.ranks && *arguments.ranks != topology.size()) {
    throw InvalidInput(
        fmt::format("-n {}: {} has {} ranks; leave -n out, or write a file for as many",
                    *arguments.ranks, arguments.topology.string(), topology.size()));
  }
  std::optional<TreePacking> packing;
  if (algorithm == Algorithm::tree) packing = pack_trees(topology);
  const NetworkLayout layout{std::make_shared<Topology>(topology),
                             hosts_of(arguments.ranks_per_host, topology.size())};
  Schedule schedule = packing ? schedule_of(*packing, topology.size())
                              : schedule_of(algorithm, topology.size(), layout);
  ScheduleTime time = time_schedule(schedule, topology, arguments.elements, kFloat32);
  return {topology, std::move(schedule), std::move(time), std::move(packing)};
}

void print_times(const OnTopology& on, const std::string& file) {
  if (on.packing && !on.packing->trees.empty()) {
    std::cout << fmt::format("{} tree{} {}; no packing carries more than {}\n",
                             on.packing->trees.size(),
                             on.packing->trees.size() == 1 ? " carries" : "s carry",
                             rate_text(on.packing->rate), rate_text(on.packing->bound));
  }
  std::cout << fmt::format("over {}: {} expected\n", file, time_text(on.time.seconds));
  for (int from = 0; from < on.topology.size(); ++from) {
    for (int to = 0; to < on.topology.size(); ++to) {
      if (!on.topology.link(from, to).exists()) continue;
      const double share = on.time.seconds > 0 ? on.time.busy[from][to] / on.time.seconds : 0;
      std::cout << fmt::format("link {} to {}: {}, busy {:.0f} % of the time\n", from, to,
                               rate_text(on.topology.link(from, to).bytes_per_second), 100 * share);
    }
  }
}

nlohmann::json to_json(const OnTopology& on, std::int64_t elements) {
  nlohmann::json json = to_json(on.schedule, elements);
  json["expected_seconds"] = on.time.seconds;
  json["busy_seconds"] = on.time.busy;
  if (!on.packing) return json;
  json["rate"] = on.packing->rate;
  json["rate_bound"] = on.packing->bound;
  json["trees"] = nlohmann::json::array();
  for (const Tree& tree : on.packing->trees) {
    json["trees"].push_back({{"root", tree.root}, {"parent", tree.parent}});
  }
  return json;
}

void print_trial(std::string_view engine, Algorithm algorithm, int ranks, std::int64_t results,
                 std::int64_t wrong) {
  std::cout << fmt::format("{:<12} {:<19} {} ranks  {:>6} results  {}", engine, name_of(algorithm),
                           ranks, results,
                           wrong == 0 ? "all right" : fmt::format("{} wrong", wrong))
            << std::endl;
}

CommOptions options_of(Engine engine, Algorithm algorithm, int ranks_per_host) {
  CommOptions options;
  options.engine = engine;
  options.algorithm = algorithm;
  options.ranks_per_host = ranks_per_host;
  return options;
}

// The ranks are threads, whatever the engine. Returns how many results were wrong.
std::size_t try_engine(Engine engine, Algorithm algorithm, int ranks, int ranks_per_host) {
  const CommOptions options = options_of(engine, algorithm, ranks_per_host);
  std::mutex mutex;
  TrialReport all;
  run_ranks(ranks, options, [&](World& world) {
    const Deadline deadline = Deadline::after_seconds(options.collective_seconds);
    const auto group = world.form_group("test", all_ranks(ranks), deadline);
    const TrialReport own = try_group(*group, algorithm, world.hosts(), options.collective_seconds);
    const std::lock_guard lock(mutex);
    all.results += own.results;
    all.faults.insert(all.faults.end(), own.faults.begin(), own.faults.end());
  });
  print_trial(name_of(engine), algorithm, ranks, all.results,
              static_cast<std::int64_t>(all.faults.size()));
  for (const std::string& fault : all.faults) std::cout << "  " << fault << "\n";
  return all.faults.size();
}

// The workers of a job try one group after another; rank 0 says how it went.
std::size_t try_in_job(JobWorlds& worlds, Engine engine, Algorithm algorithm, int ranks_per_host) {
  const CommOptions options = options_of(engine, algorithm, ranks_per_host);
  const auto world = worlds.join(options);
  const Deadline deadline = Deadline::after_seconds(options.collective_seconds);
  const auto group = world->form_group("test", all_ranks(world->size()), deadline);
  const TrialReport own = try_group(*group, algorithm, world->hosts(), options.collective_seconds);
  for (const std::string& fault : own.faults) std::cout << "  " << fault << std::endl;
  std::int64_t counts[] = {own.results, static_cast<std::int64_t>(own.faults.size())};
  const Buffer all = buffer(std::span<std::int64_t>(counts));
  group->all_reduce({&all, 1}, ReduceOp::sum, deadline);
  if (world->rank() == 0) {
    print_trial(group->engine(), algorithm, world->size(), counts[0], counts[1]);
  }
  return static_cast<std::size_t>(counts[1]);
}

void require_ranks(int ranks) {
  if (ranks >= 1 && ranks <= 128) return;
  throw InvalidInput(fmt::format("-n {}: give 1 to 128 ranks", ranks));
}

std::size_t test_alone(const CommTestArguments& arguments,
                       const std::vector<Algorithm>& algorithms) {
  const int ranks = arguments.ranks.value_or(4);
  require_ranks(ranks);
  const int ranks_per_host = ranks_per_host_of(arguments.ranks_per_host, ranks);
  std::size_t wrong = 0;
  for (const Engine engine : engines_alone(arguments.engine, "test")) {
    for (const Algorithm algorithm : algorithms) {
      wrong += try_engine(engine, algorithm, ranks, ranks_per_host);
    }
  }
  return wrong;
}

std::size_t test_in_job(const CommTestArguments& arguments, const WorkerPlace& place,
                        const std::vector<Algorithm>& algorithms) {
  require_workers(arguments.ranks, place);
  const Engine engine =
      arguments.engine.empty() ? Engine::automatic : engines_called(arguments.engine).front();
  JobWorlds worlds(place, CommOptions{}.join_seconds);
  std::size_t wrong = 0;
  for (const Algorithm algorithm : algorithms) {
    wrong += try_in_job(worlds, engine, algorithm, arguments.ranks_per_host.value_or(0));
  }
  return wrong;
}

}  // namespace

int comm_test_command(const CommTestArguments& arguments) {
  try {
    std::vector<Algorithm> algorithms(std::begin(kAlgorithms), std::end(kAlgorithms));
    if (!arguments.algorithm.empty()) algorithms = {algorithm_called(arguments.algorithm)};
    const auto place = place_from_environment(process_environment());
    const std::size_t wrong =
        place ? test_in_job(arguments, *place, algorithms) : test_alone(arguments, algorithms);
    return wrong == 0 ? kOk : kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

int comm_plan_command(const CommPlanArguments& arguments) {
  try {
    const Algorithm algorithm = algorithm_called(arguments.algorithm);
    if (arguments.elements < 0) {
      throw InvalidInput(fmt::format("--elements {}: give 0 or more", arguments.elements));
    }
    std::optional<OnTopology> on;
    if (!arguments.topology.empty()) on = on_topology(arguments, algorithm);
    const int ranks = on ? on->topology.size() : arguments.ranks.value_or(4);
    require_ranks(ranks);
    const Schedule schedule =
        on ? on->schedule
           : schedule_of(algorithm, ranks, {nullptr, hosts_of(arguments.ranks_per_host, ranks)});
    if (!arguments.json.empty()) {
      const nlohmann::json json =
          on ? to_json(*on, arguments.elements) : to_json(schedule, arguments.elements);
      replace_file(arguments.json, json.dump(2) + "\n");
    }
    print_schedule(schedule, arguments.elements);
    if (on) print_times(*on, arguments.topology.string());
    const std::string problem = problem_of(schedule);
    if (problem.empty()) return kOk;
    std::cerr << "error: this is no all-reduce: " << problem << std::endl;
    return kOther;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

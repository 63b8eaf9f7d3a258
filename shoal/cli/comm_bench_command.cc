// Prints what shoal/comm/measure.h measures.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "shoal/cli/comm_against.h"
#include "shoal/cli/comm_chart.h"
#include "shoal/cli/comm_names.h"
#include "shoal/cli/comm_times.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/job_worlds.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/machine_probe.h"
#include "shoal/comm/measure.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/launch/launched_world.h"
#include "shoal/program/number_text.h"
#include "shoal/tensor/torch_store.h"

namespace shoal {
namespace {

Operation operation_called(const std::string& name) {
  std::string names;
  for (const Operation operation : kMeasuredOperations) {
    if (name == name_of(operation)) return operation;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(operation));
  }
  throw InvalidInput(
      fmt::format("there is no operation '{}' to measure: choose one of {}", name, names));
}

bool has_hosts(const MeasureOptions& options) {
  return options.engine == Engine::hierarchical || options.algorithm == Algorithm::hierarchical;
}

MeasureOptions options_of(const CommBenchArguments& arguments) {
  const MeasureOptions defaults;
  MeasureOptions options;
  options.engine =
      arguments.engine.empty() ? Engine::shm : engines_called(arguments.engine).front();
  options.operation = operation_called(arguments.operation);
  options.ranks = arguments.ranks.value_or(defaults.ranks);
  options.algorithm = arguments.algorithm == name_of(Algorithm::automatic)
                          ? Algorithm::automatic
                          : algorithm_called(arguments.algorithm);
  // Hosts that are only said to be there would change what is chosen by itself.
  if (arguments.ranks_per_host || has_hosts(options)) {
    options.ranks_per_host = ranks_per_host_of(arguments.ranks_per_host, options.ranks);
  }
  options.choices = arguments.choices.string();
  if (arguments.buffers != "ordinary" && arguments.buffers != "shared") {
    throw InvalidInput(fmt::format("--buffers {}: name ordinary or shared", arguments.buffers));
  }
  options.shared_buffers = arguments.buffers == "shared";
  options.repetitions = arguments.repetitions;
  options.from_bytes = arguments.from.value_or(defaults.from_bytes);
  options.to_bytes = arguments.to.value_or(std::max(defaults.to_bytes, options.from_bytes));
  require_none(options.problems());
  if (options.operation == Operation::barrier) {
    if (arguments.from || arguments.to) {
      throw InvalidInput("a barrier has no size: leave out --from and --to");
    }
    if (!arguments.svg.empty()) {
      throw InvalidInput("a barrier has no size to draw its time over: leave out --svg");
    }
  }
  return options;
}

std::string title_of(Operation operation, Algorithm algorithm, const std::string& ranks) {
  const bool reduces = operation == Operation::all_reduce || operation == Operation::reduce_scatter;
  return fmt::format("{}{}, {}", name_of(operation),
                     reduces ? fmt::format(" ({})", name_of(algorithm)) : "", ranks);
}

std::string title_of(const MeasureOptions& options) {
  return title_of(
      options.operation, options.algorithm,
      fmt::format(
          "{} {} over {}{}{}", options.ranks,
          options.engine == Engine::memory ? "threads" : "processes", name_of(options.engine),
          options.shared_buffers ? ", shared buffers" : "",
          options.ranks_per_host != 0 ? fmt::format(", {} a host", options.ranks_per_host) : ""));
}

void print_head(const std::string& title, const std::string& where) {
  std::cout << fmt::format("{}: {}\n", title, where);
  std::cout << fmt::format("{:>9}  {:>6}  {:>9}  {:>21}  {:>9}  {:>10}  {:>10}\n", "size", "calls",
                           "median", "of repetitions", "p99", "algorithm", "bus");
  std::cout.flush();
}

void print_row(const MeasureOptions& options, const Measured& size) {
  const bool moves = size.bytes > 0;
  std::cout << fmt::format(
                   "{:>9}  {:>6}  {:>9}  {:>9} - {:>9}  {:>9}  {:>10}  {:>10}",
                   human_bytes(size.bytes), size.calls, time_text(size.median),
                   time_text(size.least), time_text(size.most), time_text(size.p99),
                   moves ? rate_text(algorithm_bandwidth(size)) : "-",
                   moves ? rate_text(bus_bandwidth(size, options.operation, options.ranks)) : "-")
            << std::endl;
}

nlohmann::json to_json(const MachineProbe& probe) {
  nlohmann::json json = {{"copied_bytes_per_second", probe.copied_per_second},
                         {"clock_seconds", probe.clock_seconds},
                         {"ping_seconds", nullptr}};
  if (probe.ping_seconds) json["ping_seconds"] = *probe.ping_seconds;
  return json;
}

nlohmann::json rows_of(const std::vector<Measured>& sizes) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Measured& size : sizes) {
    rows.push_back({{"bytes", size.bytes},
                    {"median_seconds", size.median},
                    {"least_median_seconds", size.least},
                    {"most_median_seconds", size.most}});
  }
  return rows;
}

nlohmann::json to_json(const MeasureOptions& options, const std::vector<Measured>& sizes) {
  nlohmann::json json = {{"operation", name_of(options.operation)},
                         {"engine", name_of(options.engine)},
                         {"algorithm", name_of(options.algorithm)},
                         {"ranks", options.ranks},
                         {"ranks_per_host", options.ranks_per_host},
                         {"cores", allowed_cores().size()},
                         {"repetitions", options.repetitions},
                         {"buffers", options.shared_buffers ? "shared" : "ordinary"},
                         {"sizes", rows_of(sizes)}};
  for (std::size_t place = 0; place < sizes.size(); ++place) {
    const Measured& size = sizes[place];
    nlohmann::json& row = json["sizes"][place];
    row["calls"] = size.calls;
    row["p99_seconds"] = size.p99;
    if (size.bytes == 0) continue;
    row["algorithm_bytes_per_second"] = algorithm_bandwidth(size);
    row["bus_bytes_per_second"] = bus_bandwidth(size, options.operation, options.ranks);
  }
  return json;
}

// The first comparison stands where that of shoal alone would; "apart" has all.
nlohmann::json to_json(const MeasureOptions& options, const std::vector<Comparison>& comparisons) {
  const auto contenders = [](const Comparison& comparison, std::size_t first) {
    nlohmann::json json;
    for (std::size_t i = first; i < comparison.contenders.size(); ++i) {
      json[comparison.contenders[i].name] = rows_of(comparison.contenders[i].sizes);
    }
    return json;
  };
  nlohmann::json json = to_json(options, comparisons.front().contenders.front().sizes);
  json["against"] = contenders(comparisons.front(), 1);
  for (const Comparison& comparison : comparisons) {
    json["apart"].push_back({{"distance", comparison.distance},
                             {"rounds", comparison.rounds},
                             {"contenders", contenders(comparison, 0)}});
  }
  return json;
}

// Where the figures go beside the terminal. Opened first: a folder that is not there should not
// cost a measurement.
class Files {
 public:
  explicit Files(const CommBenchArguments& arguments) {
    if (!arguments.json.empty()) json_.emplace(arguments.json);
    if (!arguments.svg.empty()) svg_.emplace(arguments.svg);
  }
  void write(const nlohmann::json& figures, const std::vector<ChartLine>& lines,
             const std::string& title) {
    if (json_) {
      json_->write(figures.dump(2) + "\n");
      json_->commit();
    }
    if (svg_) {
      svg_->write(chart_of(lines, title));
      svg_->commit();
    }
  }

 private:
  std::optional<AtomicFile> json_, svg_;
};

std::string place_of_ranks(int ranks) {
  const int cores = static_cast<int>(allowed_cores().size());
  return ranks <= cores ? "each on a core of its own"
                        : fmt::format("sharing {} core{}", cores, cores == 1 ? "" : "s");
}

void bench_alone(const CommBenchArguments& arguments, const MeasureOptions& options) {
  engines_alone(arguments.engine, "bench");
  const std::vector<Mpi> mpis = mpis_called(arguments.against);
  Files files(arguments);
  const MachineProbe before = probe_machine();
  std::cout << text_of(before);
  std::vector<ChartLine> lines;
  nlohmann::json figures;
  if (mpis.empty()) {
    print_head(title_of(options), place_of_ranks(options.ranks));
    lines = {{"shoal", measure(options, [&](const Measured& size) { print_row(options, size); })}};
    figures = to_json(options, lines.front().sizes);
  } else {
    std::cout << title_of(options) << ": " << place_of_ranks(options.ranks) << std::endl;
    const std::vector<Comparison> comparisons = measure_against(options, mpis);
    for (const Comparison& comparison : comparisons) std::cout << text_of(comparison);
    lines = comparisons.front().contenders;
    figures = to_json(options, comparisons);
  }
  const MachineProbe after = probe_machine();
  std::cout << text_of(after);
  figures["machine_before"] = to_json(before);
  figures["machine_after"] = to_json(after);
  files.write(figures, lines, title_of(options));
}

// A worker of a job. Rank 0 prints and writes.
void bench_in_job(const CommBenchArguments& arguments, MeasureOptions options,
                  const WorkerPlace& place) {
  require_workers(arguments.ranks, place);
  if (!arguments.against.empty()) {
    throw InvalidInput("--against starts jobs of its own: leave the launcher out");
  }
  options.ranks = place.size;
  options.ranks_per_host = arguments.ranks_per_host.value_or(0);
  CommOptions comm = options.comm();
  if (arguments.engine.empty()) comm.engine = Engine::automatic;
  const LaunchedWorld launched = join_launched_world(place, comm, connect_torch_store);
  World& world = *launched.world;
  const std::vector<int> all = all_ranks(world.size());
  const Deadline deadline = Deadline::after_seconds(comm.join_seconds);
  const auto group = world.form_group("bench", all, deadline);
  const auto meeting = world.form_group("bench meeting", all, deadline);
  std::optional<Files> files;
  const std::string title =
      title_of(options.operation, options.algorithm,
               fmt::format("{} workers of a job over {}", world.size(), group->engine()));
  if (world.rank() == 0) {
    files.emplace(arguments);
    print_head(title, "as the launcher placed them");
  }
  const auto sizes = measure_among(*group, *meeting, options, comm.collective_seconds,
                                   [&](const Measured& size) { print_row(options, size); });
  if (!files) return;
  nlohmann::json figures = to_json(options, sizes);
  figures["engine"] = group->engine();
  figures["hosts"] = world.hosts();
  files->write(figures, {{"shoal", sizes}}, title);
}

}  // namespace

int comm_bench_command(const CommBenchArguments& arguments) {
  try {
    const auto place = place_from_environment(process_environment());
    const MeasureOptions options = options_of(arguments);
    if (place) {
      bench_in_job(arguments, options, *place);
    } else {
      bench_alone(arguments, options);
    }
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

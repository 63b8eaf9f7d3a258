// Prints what shoal/comm/measure.h measures.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "shoal/cli/comm_chart.h"
#include "shoal/cli/comm_names.h"
#include "shoal/cli/comm_times.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/machine_probe.h"
#include "shoal/comm/measure.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/program/number_text.h"

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

MeasureOptions options_of(const CommBenchArguments& arguments) {
  const MeasureOptions defaults;
  MeasureOptions options;
  if (arguments.engine.empty()) throw InvalidInput("--engine: name one of " + engine_names());
  options.engine = engines_called(arguments.engine).front();
  options.operation = operation_called(arguments.operation);
  options.ranks_per_host = ranks_per_host_of(arguments.ranks_per_host, arguments.ranks);
  if (!arguments.algorithm.empty()) {
    options.algorithm = algorithm_called(arguments.algorithm);
  } else if (options.engine == Engine::hierarchical) {
    options.algorithm = Algorithm::hierarchical;
  }
  if (arguments.buffers != "ordinary" && arguments.buffers != "shared") {
    throw InvalidInput(fmt::format("--buffers {}: name ordinary or shared", arguments.buffers));
  }
  options.shared_buffers = arguments.buffers == "shared";
  options.ranks = arguments.ranks;
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

std::string text_of(const MachineProbe& probe) {
  const std::string ping =
      probe.ping_seconds ? fmt::format("{} from core to core ({})", time_text(*probe.ping_seconds),
                                       distance_of(*probe.ping_seconds))
                         : "one core";
  return fmt::format("machine: {}, one core copies {}, the clock takes {}\n", ping,
                     rate_text(probe.copied_per_second), time_text(probe.clock_seconds));
}

std::string title_of(const MeasureOptions& options) {
  const bool reduces =
      options.operation == Operation::all_reduce || options.operation == Operation::reduce_scatter;
  const bool has_hosts =
      options.engine == Engine::hierarchical || options.algorithm == Algorithm::hierarchical;
  return fmt::format("{}{}, {} {} over {}{}{}", name_of(options.operation),
                     reduces ? fmt::format(" ({})", name_of(options.algorithm)) : "", options.ranks,
                     options.engine == Engine::memory ? "threads" : "processes",
                     name_of(options.engine), options.shared_buffers ? ", shared buffers" : "",
                     has_hosts ? fmt::format(", {} a host", options.ranks_per_host) : "");
}

void print_head(const MeasureOptions& options) {
  const int cores = static_cast<int>(allowed_cores().size());
  std::cout << fmt::format("{}: {}\n", title_of(options),
                           options.ranks <= cores
                               ? "each on a core of its own"
                               : fmt::format("sharing {} core{}", cores, cores == 1 ? "" : "s"));
  std::cout << fmt::format("{:>9}  {:>6}  {:>9}  {:>21}  {:>9}  {:>10}  {:>10}\n", "size", "calls",
                           "median", "of repetitions", "p99", "algorithm", "bus");
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

nlohmann::json to_json(const MeasureOptions& options, const std::vector<Measured>& sizes) {
  nlohmann::json json = {{"operation", name_of(options.operation)},
                         {"engine", name_of(options.engine)},
                         {"algorithm", name_of(options.algorithm)},
                         {"ranks", options.ranks},
                         {"ranks_per_host", options.ranks_per_host},
                         {"cores", allowed_cores().size()},
                         {"repetitions", options.repetitions},
                         {"buffers", options.shared_buffers ? "shared" : "ordinary"},
                         {"sizes", nlohmann::json::array()}};
  for (const Measured& size : sizes) {
    nlohmann::json row = {{"bytes", size.bytes},
                          {"calls", size.calls},
                          {"median_seconds", size.median},
                          {"least_median_seconds", size.least},
                          {"most_median_seconds", size.most},
                          {"p99_seconds", size.p99}};
    if (size.bytes > 0) {
      row["algorithm_bytes_per_second"] = algorithm_bandwidth(size);
      row["bus_bytes_per_second"] = bus_bandwidth(size, options.operation, options.ranks);
    }
    json["sizes"].push_back(row);
  }
  return json;
}

}  // namespace

int comm_bench_command(const CommBenchArguments& arguments) {
  try {
    const MeasureOptions options = options_of(arguments);
    // Opened first: a folder that is not there should not cost a measurement.
    std::optional<AtomicFile> json, svg;
    if (!arguments.json.empty()) json.emplace(arguments.json);
    if (!arguments.svg.empty()) svg.emplace(arguments.svg);
    const MachineProbe before = probe_machine();
    std::cout << text_of(before);
    print_head(options);
    std::cout.flush();
    const auto sizes = measure(options, [&](const Measured& size) { print_row(options, size); });
    const MachineProbe after = probe_machine();
    std::cout << text_of(after);
    if (json) {
      nlohmann::json figures = to_json(options, sizes);
      figures["machine_before"] = to_json(before);
      figures["machine_after"] = to_json(after);
      json->write(figures.dump(2) + "\n");
      json->commit();
    }
    if (svg) {
      svg->write(chart_of(sizes, title_of(options)));
      svg->commit();
    }
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

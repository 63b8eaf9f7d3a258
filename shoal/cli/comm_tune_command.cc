// Measures which algorithms are fastest on this machine, and writes them as a table of choices.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "shoal/cli/comm_names.h"
#include "shoal/cli/comm_times.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/machine_probe.h"
#include "shoal/comm/tune.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

std::vector<TuneOptions> options_of(const CommTuneArguments& arguments) {
  std::vector<TuneOptions> all;
  for (const Engine engine : engines_alone(arguments.engine, "bench")) {
    for (const Operation operation : kChosenOperations) {
      const bool wanted = arguments.operation.empty() || arguments.operation == name_of(operation);
      if (!wanted || tuned_algorithms(engine, operation).size() < 2) continue;
      for (const int ranks : arguments.ranks) {
        const TuneOptions defaults;
        all.push_back({.engine = engine,
                       .operation = operation,
                       .ranks = ranks,
                       .ranks_per_host = ranks_per_host_of(arguments.ranks_per_host, ranks),
                       .from_bytes = arguments.from.value_or(defaults.from_bytes),
                       .to_bytes = arguments.to.value_or(defaults.to_bytes),
                       .rounds = arguments.rounds});
        require_none(all.back().problems());
      }
    }
  }
  if (!all.empty()) return all;
  throw InvalidInput(
      fmt::format("there is nothing to tune of operation '{}': choose all_reduce or "
                  "reduce_scatter, or over hierarchical all_gather or broadcast",
                  arguments.operation));
}

std::string title_of(const TuneOptions& options) {
  return fmt::format("{} of {} ranks over {}{}", name_of(options.operation), options.ranks,
                     name_of(options.engine),
                     options.engine == Engine::hierarchical
                         ? fmt::format(", {} a host", options.ranks_per_host)
                         : "");
}

void print_timings(const TuneOptions& options, const Timings& timings,
                   const std::vector<Choice>& choices) {
  const std::vector<Algorithm> algorithms = tuned_algorithms(options.engine, options.operation);
  std::cout << fmt::format("{}\n{:>9}", title_of(options), "size");
  for (const Algorithm algorithm : algorithms)
    std::cout << fmt::format("  {:>18}", name_of(algorithm));
  std::cout << "  chosen\n";
  for (const auto& [bytes, times] : timings) {
    std::cout << fmt::format("{:>9}", human_bytes(bytes));
    for (const Algorithm algorithm : algorithms) {
      std::cout << fmt::format("  {:>18}", time_text(times.at(algorithm)));
    }
    Algorithm chosen = choices.front().algorithm;
    for (const Choice& choice : choices) {
      if (choice.from_bytes <= bytes) chosen = choice.algorithm;
    }
    std::cout << fmt::format("  {}\n", name_of(chosen));
  }
  std::cout.flush();
}

}  // namespace

int comm_tune_command(const CommTuneArguments& arguments) {
  try {
    const std::vector<TuneOptions> all = options_of(arguments);
    ChoiceTable table;
    // Read first: a file that is damaged should not cost a measurement.
    if (std::filesystem::exists(arguments.output)) table = read_choices(arguments.output);
    AtomicFile file(arguments.output);
    const MachineProbe probe = probe_machine();
    std::cout << text_of(probe);
    for (const TuneOptions& options : all) {
      const Timings timings = time_algorithms(options, [&](Algorithm algorithm, int round) {
        std::cerr << fmt::format("{}: round {} of {}, {}\n", title_of(options), round + 1,
                                 options.rounds, name_of(algorithm));
      });
      const auto choices = choices_of(options, timings, usual_algorithm(options.engine));
      print_timings(options, timings, choices);
      table = table.with(ChoiceTable(choices));
    }
    std::cout << text_of(probe_machine());
    file.write(table.text());
    file.commit();
    std::cout << fmt::format("{}: set comm.choices to it\n", arguments.output.string());
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

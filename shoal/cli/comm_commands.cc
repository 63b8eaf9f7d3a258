// The options of `shoal comm ...`.
#include <memory>

#include "shoal/cli/comm_names.h"
#include "shoal/cli/command_set.h"
#include "shoal/cli/commands.h"
#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {
namespace {

void add_ranks_per_host(CLI::App& app, std::optional<int>& ranks_per_host) {
  app.add_option("--ranks-per-host", ranks_per_host,
                 "So many ranks in a row count as one host, for hierarchical")
      ->option_text("N (half of the ranks)");
}

template <typename Arguments>
void add_sizes(CLI::App& app, Arguments& arguments, const char* to) {
  app.add_option("--from", arguments.from, "Smallest size; each is four times the one before")
      ->option_text("BYTES (4)");
  app.add_option("--to", arguments.to, "Largest size")->option_text(to);
}

void add_comm_plan(CommandSet& set, CLI::App& comm) {
  auto kept = std::make_shared<CommPlanArguments>();
  CommPlanArguments& arguments = *kept;
  CLI::App& plan = *comm.add_subcommand(
      "plan", "Print who sends what to whom in an all-reduce, and count the bytes");
  plan.add_option("--algorithm", arguments.algorithm, algorithm_names())
      ->type_name(one_of(algorithm_names()))
      ->option_text("NAME (two_shot)");
  plan.add_option("-n", arguments.ranks, "Ranks")
      ->option_text("N (as many as the topology has, else 4)");
  add_file_option(
      plan, "--topology", arguments.topology,
      "Links between the ranks (docs/communication.md): tree uses them, and the time that the "
      "all-reduce takes is foretold");
  add_ranks_per_host(plan, arguments.ranks_per_host);
  plan.add_option("--elements", arguments.elements, "Numbers (float32) that each rank holds")
      ->option_text("N (1048576)");
  add_file_option(plan, "--json", arguments.json, "Write transfers and counts as JSON");
  set.add(plan, [kept](const auto&) { return comm_plan_command(*kept); });
}

void add_comm_test(CommandSet& set, CLI::App& comm) {
  auto kept = std::make_shared<CommTestArguments>();
  CommTestArguments& arguments = *kept;
  CLI::App& test =
      *comm.add_subcommand("test", "Try every operation on this machine against its serial result");
  test.add_option("-n", arguments.ranks,
                  "Ranks, each a thread. In a job (shoal run, torchrun, mpirun, srun) its workers")
      ->option_text("N (4)");
  add_ranks_per_host(test, arguments.ranks_per_host);
  test.add_option("--engine", arguments.engine, engine_names())
      ->type_name(one_of(engine_names()))
      ->option_text("NAME (all)");
  test.add_option("--algorithm", arguments.algorithm, algorithm_names())
      ->type_name(one_of(algorithm_names()))
      ->option_text("NAME (all)");
  set.add(test, [kept](const auto&) { return comm_test_command(*kept); });
}

void add_comm_engines(CommandSet& set, CLI::App& comm) {
  auto kept = std::make_shared<CommEnginesArguments>();
  CommEnginesArguments& arguments = *kept;
  CLI::App& engines = *comm.add_subcommand(
      "engines", "Try which engine does which operation here, and say why where one does not");
  add_file_option(engines, "--json", arguments.json, "Write the table as JSON");
  set.add(engines, [kept](const auto&) { return comm_engines_command(*kept); });
}

void add_comm_tune(CommandSet& set, CLI::App& comm) {
  auto kept = std::make_shared<CommTuneArguments>();
  CommTuneArguments& arguments = *kept;
  CLI::App& tune = *comm.add_subcommand(
      "tune",
      "Measure which algorithm is fastest for which sizes, and write a table for comm.choices");
  tune.add_option("-n", arguments.ranks, "Numbers of ranks, between commas: 2,4,8")
      ->delimiter(',')
      ->option_text("N,... (2,4)");
  add_ranks_per_host(tune, arguments.ranks_per_host);
  tune.add_option("--engine", arguments.engine, engine_names())
      ->type_name(one_of(engine_names()))
      ->option_text("NAME (all)");
  tune.add_option("--operation", arguments.operation,
                  "all_reduce, reduce_scatter, all_gather or broadcast")
      ->type_name("all_reduce|reduce_scatter|all_gather|broadcast")
      ->option_text("NAME (all)");
  add_sizes(tune, arguments, "BYTES (16777216)");
  tune.add_option("--rounds", arguments.rounds, "Of all algorithms, one after another")
      ->option_text("N (3)");
  add_file_option(
      tune, "--output", arguments.output,
      "The table (choices.toml); what it says of other engines, operations and ranks stays");
  set.add(tune, [kept](const auto&) { return comm_tune_command(*kept); });
}

void add_comm_bench(CommandSet& set, CLI::App& comm) {
  auto kept = std::make_shared<CommBenchArguments>();
  CommBenchArguments& arguments = *kept;
  CLI::App& bench = *comm.add_subcommand("bench", "Time an operation on this machine, by size");
  bench
      .add_option(
          "-n", arguments.ranks,
          "Ranks: processes, or threads over memory. In a job (shoal run, torchrun, mpirun, "
          "srun) its workers are measured")
      ->option_text("N (2)");
  add_ranks_per_host(bench, arguments.ranks_per_host);
  bench.add_option("--engine", arguments.engine, engine_names())
      ->type_name(one_of(engine_names()))
      ->option_text("NAME (shm; in a job automatic)");
  bench
      .add_option("--operation", arguments.operation,
                  "all_reduce, all_gather, reduce_scatter, broadcast, all_to_all or barrier")
      ->type_name("all_reduce|all_gather|reduce_scatter|broadcast|all_to_all|barrier")
      ->option_text("NAME (all_reduce)");
  bench
      .add_option(
          "--algorithm", arguments.algorithm,
          "Of all_reduce (of reduce_scatter two_shot, ring and hierarchical): " + algorithm_names())
      ->type_name(one_of(algorithm_names()))
      ->option_text("NAME (automatic)");
  add_file_option(bench, "--choices", arguments.choices,
                  "Table for automatic, as shoal comm tune writes it (one comes with shoal)");
  bench
      .add_option("--buffers", arguments.buffers,
                  "ordinary, or shared: in memory that all ranks can reach")
      ->type_name("ordinary|shared")
      ->option_text("NAME (ordinary)");
  add_sizes(bench, arguments, "BYTES (268435456)");
  bench.add_option("--repetitions", arguments.repetitions, "Of each size, of 5 to 400 calls")
      ->option_text("N (5)");
  bench
      .add_option("--against", arguments.against,
                  "openmpi, mpich or both: their collectives in turn with shoal's, in each "
                  "repetition, at the fastest of their settings")
      ->option_text("NAME,...");
  add_file_option(bench, "--json", arguments.json, "Write the figures as JSON");
  add_file_option(bench, "--svg", arguments.svg, "Draw time over size");
  bench.footer(
      "A size is all that one rank gives or, of all_gather, gets. Before a call every rank writes "
      "its\nbuffer anew and all meet; the call's time is its slowest rank's. algorithm: size by "
      "median;\nbus: what one link carries at least (times 2(n-1)/n for all_reduce). Results are "
      "compared.");
  set.add(bench, [kept](const auto&) { return comm_bench_command(*kept); });
}

}  // namespace

void add_comm_commands(CommandSet& set) {
  CLI::App& comm = *set.app().add_subcommand("comm", "Look at how workers exchange data");
  comm.require_subcommand(1);
  add_comm_plan(set, comm);
  add_comm_test(set, comm);
  add_comm_bench(set, comm);
  add_comm_tune(set, comm);
  add_comm_engines(set, comm);
}

}  // namespace shoal

#include "shoal/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "shoal/cli/comm_names.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/version.h"
#include "shoal/launch/run_command.h"

namespace shoal {
namespace {

// Options that read the job file, common to several subcommands.
void add_job_options(CLI::App& app, std::string& job, std::vector<std::string>& settings) {
  app.add_option("JOB", job, "Job file (TOML); its keys: shoal options")->required()->type_name("");
  app.add_option("--set", settings, "Set a key of the job; may be repeated")
      ->option_text("TABLE.KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
}

template <typename Path>
void add_file(CLI::App& app, const std::string& name, Path& file, const std::string& what) {
  app.add_option(name, file, what)->type_name("FILE");
}

// What cannot be read of a command line, as one sentence.
int refuse(const CLI::ParseError& error, const std::vector<std::string>& words,
           const CLI::App& app) {
  std::string command = "shoal";
  std::string sentence = error.what();
  if (words.size() > 1 && words[1].rfind('-', 0) != 0) {
    const auto named = [&](const CLI::App* one) { return one->get_name() == words[1]; };
    if (!app.get_subcommands(named).empty()) {
      command += " " + words[1];
    } else {
      sentence = "there is no command '" + words[1] + "'";
    }
  }
  std::cerr << "error: " << sentence << ": see " << command << " --help" << std::endl;
  return kRefused;
}

CLI::App& add_train(CLI::App& app, TrainArguments& arguments) {
  CLI::App& train = *app.add_subcommand("train", "Train a model on one or several workers");
  add_job_options(train, arguments.job, arguments.settings);
  train
      .add_option_function<std::string>(
          "--mode",
          [&arguments](const std::string& mode) {
            arguments.mode = mode == "threads" ? WorkerMode::threads : WorkerMode::processes;
          },
          "Workers are processes (as a rule), or threads of one process")
      ->check(CLI::IsMember({"processes", "threads"}))
      ->option_text("processes|threads");
  train.add_flag("--resume", arguments.resume, "Go on from the newest complete checkpoint");
  add_file(train, "--report", arguments.report, "Write the run's figures as JSON");
  add_file(train, "--trace", arguments.trace, "Write what ran when, for Chrome or Perfetto");
  train.add_option("--metrics", arguments.metrics,
                   "Write figures of every step into files of this folder: [metrics] path")
      ->type_name("FOLDER");
  add_file(train, "--facts", arguments.facts, "Read facts about the blocks instead of measuring");
  add_file(train, "--programs", arguments.programs,
           "Run these programs (see plan --save-programs)");
  train.add_flag("--quiet", arguments.quiet, "Print nothing but errors");
  train.footer("Starting workers:\n" + launch_options_help());
  return train;
}

CLI::App& add_plan(CLI::App& app, PlanArguments& arguments) {
  CLI::App& plan =
      *app.add_subcommand("plan", "Print each rank's program and a picture; runs nothing");
  add_job_options(plan, arguments.job, arguments.settings);
  plan.add_option("-n", arguments.workers, "Workers (as many as the job's mesh has, else 1)")
      ->check([](const std::string& text) {
        const bool number = text.find_first_not_of("0123456789") == std::string::npos;
        const bool positive = number && text.find_first_not_of('0') != std::string::npos;
        return positive ? std::string() : "give 1 or more workers, not " + text;
      })
      ->option_text("N");
  add_file(plan, "--svg", arguments.svg, "Draw the step, as simulated");
  add_file(plan, "--facts", arguments.facts, "Read facts about the blocks instead of measuring");
  add_file(plan, "--save-facts", arguments.save_facts, "Write the facts as JSON");
  add_file(plan, "--save-programs", arguments.save_programs, "Write the programs as JSON");
  plan.add_flag("--no-costs", arguments.no_costs, "Do not time the blocks");
  return plan;
}

CLI::App& add_evaluate(CLI::App& app, EvaluateArguments& arguments) {
  CLI::App& evaluate = *app.add_subcommand("evaluate", "Evaluate a checkpoint");
  evaluate.add_option("CHECKPOINT", arguments.checkpoint, "Folder of one checkpoint")
      ->required()
      ->type_name("");
  add_job_options(evaluate, arguments.job, arguments.settings);
  evaluate.add_option("--on", arguments.set, "Which samples")
      ->option_text("test|validation|train (test)");
  return evaluate;
}

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

CLI::App& add_comm_plan(CLI::App& comm, CommPlanArguments& arguments) {
  CLI::App& plan = *comm.add_subcommand(
      "plan", "Print who sends what to whom in an all-reduce, and count the bytes");
  plan.add_option("--algorithm", arguments.algorithm, algorithm_names())
      ->option_text("NAME (two_shot)");
  plan.add_option("-n", arguments.ranks, "Ranks")
      ->option_text("N (as many as the topology has, else 4)");
  add_file(plan, "--topology", arguments.topology,
           "Links between the ranks (docs/communication.md): tree uses them, and the time that the "
           "all-reduce takes is foretold");
  add_ranks_per_host(plan, arguments.ranks_per_host);
  plan.add_option("--elements", arguments.elements, "Numbers (float32) that each rank holds")
      ->option_text("N (1048576)");
  add_file(plan, "--json", arguments.json, "Write transfers and counts as JSON");
  return plan;
}

CLI::App& add_comm_test(CLI::App& comm, CommTestArguments& arguments) {
  CLI::App& test =
      *comm.add_subcommand("test", "Try every operation on this machine against its serial result");
  test.add_option("-n", arguments.ranks,
                  "Ranks, each a thread. In a job (shoal run, torchrun, mpirun, srun) its workers")
      ->option_text("N (4)");
  add_ranks_per_host(test, arguments.ranks_per_host);
  test.add_option("--engine", arguments.engine, engine_names())->option_text("NAME (all)");
  test.add_option("--algorithm", arguments.algorithm, algorithm_names())->option_text("NAME (all)");
  return test;
}

CLI::App& add_comm_engines(CLI::App& comm, CommEnginesArguments& arguments) {
  CLI::App& engines = *comm.add_subcommand(
      "engines", "Try which engine does which operation here, and say why where one does not");
  add_file(engines, "--json", arguments.json, "Write the table as JSON");
  return engines;
}

CLI::App& add_comm_tune(CLI::App& comm, CommTuneArguments& arguments) {
  CLI::App& tune = *comm.add_subcommand(
      "tune",
      "Measure which algorithm is fastest for which sizes, and write a table for comm.choices");
  tune.add_option("-n", arguments.ranks, "Numbers of ranks, between commas: 2,4,8")
      ->delimiter(',')
      ->option_text("N,... (2,4)");
  add_ranks_per_host(tune, arguments.ranks_per_host);
  tune.add_option("--engine", arguments.engine, engine_names())->option_text("NAME (all)");
  tune.add_option("--operation", arguments.operation,
                  "all_reduce, reduce_scatter, all_gather or broadcast")
      ->option_text("NAME (all)");
  add_sizes(tune, arguments, "BYTES (16777216)");
  tune.add_option("--rounds", arguments.rounds, "Of all algorithms, one after another")
      ->option_text("N (3)");
  add_file(tune, "--output", arguments.output,
           "The table (choices.toml); what it says of other engines, operations and ranks stays");
  return tune;
}

CLI::App& add_comm_bench(CLI::App& comm, CommBenchArguments& arguments) {
  CLI::App& bench = *comm.add_subcommand("bench", "Time an operation on this machine, by size");
  bench
      .add_option(
          "-n", arguments.ranks,
          "Ranks: processes, or threads over memory. In a job (shoal run, torchrun, mpirun, "
          "srun) its workers are measured")
      ->option_text("N (2)");
  add_ranks_per_host(bench, arguments.ranks_per_host);
  bench.add_option("--engine", arguments.engine, engine_names())
      ->option_text("NAME (shm; in a job automatic)");
  bench
      .add_option("--operation", arguments.operation,
                  "all_reduce, all_gather, reduce_scatter, broadcast, all_to_all or barrier")
      ->option_text("NAME (all_reduce)");
  bench
      .add_option(
          "--algorithm", arguments.algorithm,
          "Of all_reduce (of reduce_scatter two_shot, ring and hierarchical): " + algorithm_names())
      ->option_text("NAME (automatic)");
  add_file(bench, "--choices", arguments.choices,
           "Table for automatic, as shoal comm tune writes it (one comes with shoal)");
  bench
      .add_option("--buffers", arguments.buffers,
                  "ordinary, or shared: in memory that all ranks can reach")
      ->option_text("NAME (ordinary)");
  add_sizes(bench, arguments, "BYTES (268435456)");
  bench.add_option("--repetitions", arguments.repetitions, "Of each size, of 5 to 400 calls")
      ->option_text("N (5)");
  bench
      .add_option("--against", arguments.against,
                  "openmpi, mpich or both: their collectives in turn with shoal's, in each "
                  "repetition, at the fastest of their settings")
      ->option_text("NAME,...");
  add_file(bench, "--json", arguments.json, "Write the figures as JSON");
  add_file(bench, "--svg", arguments.svg, "Draw time over size");
  bench.footer(
      "A size is all that one rank gives or, of all_gather, gets. Before a call every rank writes "
      "its\nbuffer anew and all meet; the call's time is its slowest rank's. algorithm: size by "
      "median;\nbus: what one link carries at least (times 2(n-1)/n for all_reduce). Results are "
      "compared.");
  return bench;
}

// shoal comm ...
class CommCommands {
 public:
  explicit CommCommands(CLI::App& app)
      : comm_(*app.add_subcommand("comm", "Look at how workers exchange data")),
        plan_app_(add_comm_plan(comm_, plan_)),
        test_app_(add_comm_test(comm_, test_)),
        bench_app_(add_comm_bench(comm_, bench_)),
        tune_app_(add_comm_tune(comm_, tune_)),
        engines_app_(add_comm_engines(comm_, engines_)) {
    comm_.require_subcommand(1);
  }
  bool parsed() const { return comm_.parsed(); }
  int run() const {
    if (test_app_.parsed()) return comm_test_command(test_);
    if (bench_app_.parsed()) return comm_bench_command(bench_);
    if (tune_app_.parsed()) return comm_tune_command(tune_);
    if (engines_app_.parsed()) return comm_engines_command(engines_);
    return comm_plan_command(plan_);
  }

 private:
  CLI::App& comm_;
  CommPlanArguments plan_;
  CommTestArguments test_;
  CommBenchArguments bench_;
  CommTuneArguments tune_;
  CommEnginesArguments engines_;
  CLI::App& plan_app_;
  CLI::App& test_app_;
  CLI::App& bench_app_;
  CLI::App& tune_app_;
  CLI::App& engines_app_;
};

// The launcher's options are not workers' business: they are taken out of the command line.
int run_subcommand(std::vector<std::string> words) {
  TrainArguments train;
  PlanArguments plan;
  EvaluateArguments evaluate;
  std::string a, b;
  bool markdown = false;

  CLI::App app("Trains models on as many workers as they really need", "shoal");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  CLI::App& train_app = add_train(app, train);
  CLI::App& plan_app = add_plan(app, plan);
  CLI::App& evaluate_app = add_evaluate(app, evaluate);
  app.add_subcommand("run", "Start a program of your own on several workers: run -n N -- PROGRAM");
  CLI::App& checkpoint_app = *app.add_subcommand("checkpoint", "Look at checkpoints");
  checkpoint_app.require_subcommand(1);
  CLI::App& diff_app = *checkpoint_app.add_subcommand("diff", "Largest difference of each tensor");
  diff_app.add_option("A", a, "Folder of a checkpoint")->required()->type_name("");
  diff_app.add_option("B", b, "Folder of another")->required()->type_name("");
  const CommCommands comm(app);
  CLI::App& options_app = *app.add_subcommand("options", "Every key of a job file");
  options_app.add_flag("--markdown", markdown, "As a page of the documentation");

  std::vector<std::string> command_line = words;
  try {
    if (words.size() > 1 && words[1] == "train") {
      const std::size_t before = words.size();
      take_launch_options(words, train.launch);
      train.workers_given = words.size() != before;
      command_line = words;
    }
    std::vector<std::string> reversed(words.rbegin(), words.rend() - 1);
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return refuse(error, words, app);
    app.exit(error, std::cout, std::cerr);  // help, version
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
  if (train_app.parsed()) return train_command(train, command_line);
  if (plan_app.parsed()) return plan_command(plan);
  if (evaluate_app.parsed()) return evaluate_command(evaluate);
  if (diff_app.parsed()) return checkpoint_diff_command(a, b);
  if (comm.parsed()) return comm.run();
  return options_command(markdown);
}

}  // namespace

int run_command_line(std::vector<std::string> words) {
  if (words.size() > 1 && words[1] == "run") {
    std::vector<char*> arguments;
    for (std::size_t i = 2; i < words.size(); ++i) arguments.push_back(words[i].data());
    return run_command(static_cast<int>(arguments.size()), arguments.data());
  }
  return run_subcommand(std::move(words));
}

}  // namespace shoal

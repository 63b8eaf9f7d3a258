#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "shoal/cli/commands.h"
#include "shoal/cli/console_observer.h"
#include "shoal/cli/doctor_checks.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/process_start.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/launched_world.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/tensor/torch_store.h"
#include "shoal/train/trainer.h"

namespace shoal {
namespace {

// Set by the launching command for its workers.
constexpr const char* kLaunchedVariable = "SHOAL_LAUNCHED";  // seconds since 1970
constexpr const char* kProgressVariable = "SHOAL_PROGRESS";  // "bar" when a terminal shows it

std::chrono::system_clock::time_point launch_time(const EnvironmentLookup& environment) {
  if (const auto seconds = environment(kLaunchedVariable)) {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(
            std::chrono::duration<double>(std::strtod(seconds->c_str(), nullptr))));
  }
  return process_start_time();
}

Progress progress_of(const TrainArguments& arguments, const EnvironmentLookup& environment) {
  if (arguments.quiet) return Progress::quiet;
  if (environment(kProgressVariable) == "bar" || isatty(STDOUT_FILENO) == 1) return Progress::bar;
  return Progress::lines;
}

// Refuses output files that could not be written at the end.
void require_writable(const std::filesystem::path& file) {
  if (file.empty()) return;
  const std::filesystem::path folder =
      file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (std::filesystem::is_directory(file)) {
    throw InvalidInput(fmt::format("{} is a folder: name a file to write", file.string()));
  }
  if (!std::filesystem::is_directory(folder) || access(folder.c_str(), W_OK) != 0) {
    throw InvalidInput(fmt::format("{} cannot be written: folder {} is missing or not writable",
                                   file.string(), folder.string()));
  }
}

// Knows whether the first step is done, which decides what bad input is called.
class FirstStep final : public Observer {
 public:
  void after_step(const StepReport&) override { done_ = true; }
  bool done() const { return done_; }

 private:
  std::atomic<bool> done_{false};
};

struct WorkerRun {
  const TrainArguments& arguments;
  const Job& job;
  const StopRequest& stop;
  const EnvironmentLookup& environment;
  FirstStep first_step;
};

// The one choice of a job that makes it many times slower on some processors, and says nothing.
void note_slow_precision(const Job& job) {
  if (job.train.precision != Precision::bf16 || job.execute.device != "cpu") return;
  const Finding finding = check_bf16({});
  if (finding.standing == Standing::good) return;
  std::cerr << fmt::format("note: bfloat16: {}: {}\n", finding.found, finding.remedy);
}

// One rank, from its world to its report. Returns the exit code of a run that did not fail.
int train_in_world(World& world, WorkerRun& run, const PreparedJob& prepared) {
  const bool speaks = world.rank() == 0;
  ConsoleObserver console(std::cout, std::cerr, progress_of(run.arguments, run.environment));
  TrainerOptions options{.resume = run.arguments.resume,
                         .observers = {&run.first_step},
                         .stop = &run.stop,
                         .launched = launch_time(run.environment),
                         .trace_file = run.arguments.trace};
  if (speaks) options.observers.push_back(&console);
  if (speaks && !run.arguments.quiet) note_slow_precision(prepared.job);
  Trainer trainer(world, prepared, std::move(options));
  const RunReport report = trainer.run();
  if (speaks) {
    if (!run.arguments.report.empty()) {
      replace_file(run.arguments.report, to_json(report).dump(2) + "\n");
    }
    console.finished(report);
  }
  if (report.stopped_by == "SIGINT") return kInterrupted;
  if (report.stopped_by == "SIGTERM") return kTerminated;
  return kOk;
}

void settle(const Job& job, int local_rank, int local_size) {
  if (job.execute.pin) {
    pin_this_thread(cores_of_worker(local_rank, local_size, allowed_cores()));
  }
  configure_torch(job.execute.threads);
}

PrepareOptions prepare_options(const WorkerRun& run) {
  return {.facts_file = run.arguments.facts, .programs_file = run.arguments.programs};
}

std::int64_t seed_of_rank_0(World& world, std::int64_t seed, const CommOptions& options) {
  const Deadline deadline = Deadline::after_seconds(options.join_seconds);
  if (world.rank() == 0) {
    world.store().set("seed", std::to_string(seed), deadline);
    return seed;
  }
  return std::stoll(world.store().get("seed", deadline));
}

// This process is one of several workers.
int train_as_worker(WorkerRun& run, const WorkerPlace& place) {
  // The data is read beside all that follows; before this thread is bound to its cores.
  std::optional<JobPreparation> preparation(std::in_place, run.job, place.size,
                                            prepare_options(run));
  settle(run.job, place.local_rank, place.local_size);
  preparation->compile_programs();
  LaunchedWorld joined;
  // Workers begin equal, whatever seed each was started with.
  Job job = run.job;
  preparation->while_reading([&] {
    joined = join_launched_world(place, run.job.comm, connect_torch_store);
    job.seed = seed_of_rank_0(*joined.world, run.job.seed, run.job.comm);
  });
  if (job.seed != run.job.seed) preparation.emplace(job, place.size, prepare_options(run));
  const PreparedJob prepared = preparation->finish();
  return train_in_world(*joined.world, run, prepared);
}

// This process is all workers, each a thread.
int train_as_threads(WorkerRun& run, int workers) {
  JobPreparation preparation(run.job, workers, prepare_options(run));
  configure_torch(run.job.execute.threads);
  const PreparedJob prepared = preparation.finish();
  std::atomic<int> code{kOk};
  const std::vector<int> cores = allowed_cores();
  run_ranks(workers, run.job.comm, [&](World& world) {
    if (run.job.execute.pin) {
      pin_this_thread(cores_of_worker(world.rank(), workers, cores));
    }
    const int own = train_in_world(world, run, prepared);
    if (world.rank() == 0) code = own;
  });
  return code;
}

int launch_workers(const TrainArguments& arguments, const Job& job,
                   const std::vector<std::string>& command_line, const StopRequest& stop) {
  LaunchOptions options = arguments.launch;
  options.command = command_line;
  options.join_seconds = job.join_seconds();
  options.plain_rank0 = true;
  options.variables.push_back(
      fmt::format("{}={:.6f}", kLaunchedVariable,
                  std::chrono::duration<double>(process_start_time().time_since_epoch()).count()));
  if (isatty(STDOUT_FILENO) == 1)
    options.variables.push_back(std::string(kProgressVariable) + "=bar");
  return launch(options, std::cout, std::cerr, stop);
}

int workers_asked_for(const TrainArguments& arguments, const Job& job) {
  if (arguments.workers_given || job.parallel.mesh.empty()) return arguments.launch.workers;
  return Mesh(job.parallel.mesh).size();
}

}  // namespace

int train_command(const TrainArguments& arguments, const std::vector<std::string>& command_line) {
  StopRequest stop;
  const SignalsAskToStop signals(stop);
  const EnvironmentLookup environment = process_environment();
  Job job;
  try {
    job = read_job(arguments.job, arguments.settings);
    if (!arguments.metrics.empty()) job.metrics.path = arguments.metrics;
    require_writable(arguments.report);
    require_writable(arguments.trace);
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
  WorkerRun run{arguments, job, stop, environment, {}};
  try {
    if (const auto place = place_from_environment(environment)) return train_as_worker(run, *place);
    TrainArguments resolved = arguments;
    resolved.launch.workers = workers_asked_for(arguments, job);
    const bool several_hosts = resolved.launch.nodes > 1 || !resolved.launch.hosts_file.empty();
    const int workers = resolved.launch.workers;
    if (!several_hosts) (void)job.plan(workers);  // refused once, not by every worker
    if (several_hosts || (arguments.mode == WorkerMode::processes && workers > 1)) {
      return launch_workers(resolved, job, command_line, stop);
    }
    return train_as_threads(run, workers);
  } catch (...) {
    return report_failure(std::current_exception(), run.first_step.done(), std::cerr);
  }
}

}  // namespace shoal

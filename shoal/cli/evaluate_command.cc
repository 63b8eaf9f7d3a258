#include <fmt/format.h>

#include <iostream>

#include "shoal/cli/commands.h"
#include "shoal/cli/console_observer.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/core/error.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {
namespace {

const Dataset& chosen_set(const DataSplits& data, const std::string& name) {
  const std::shared_ptr<const Dataset>& set = name == "test"         ? data.test
                                              : name == "validation" ? data.validation
                                                                     : data.train;
  if (name != "test" && name != "validation" && name != "train") {
    throw InvalidInput(fmt::format("--on {}: give test, validation or train", name));
  }
  if (!set || set->size() == 0) {
    throw InvalidInput(fmt::format("the job has no {} set: see [data] {}", name,
                                   name == "test" ? "test" : "validation"));
  }
  return *set;
}

// Weights load into any mesh: one worker is enough to evaluate, whatever trained them.
Job for_one_worker(Job job) {
  job.parallel = {};
  job.pipeline = {};
  job.checkpoint.path.clear();
  job.metrics.path.clear();
  return job;
}

}  // namespace

int evaluate_command(const EvaluateArguments& arguments) {
  try {
    const Job job = for_one_worker(read_job(arguments.job, arguments.settings));
    configure_torch(job.execute.threads);
    const PreparedJob prepared = prepare(job, 1);
    const Dataset& set = chosen_set(prepared.data, arguments.set);
    ConsoleObserver console(std::cout, std::cerr, Progress::lines);
    run_ranks(1, job.comm, [&](World& world) {
      Trainer trainer(world, prepared, {.observers = {&console}});
      trainer.load_weights(arguments.checkpoint);
      trainer.evaluate(set, arguments.set);
    });
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

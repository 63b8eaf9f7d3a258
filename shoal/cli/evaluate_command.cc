#include <iostream>

#include "shoal/cli/checkpoint_job.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/console_observer.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {

int evaluate_command(const EvaluateArguments& arguments) {
  try {
    const Job job = job_for_weights(arguments.job, arguments.settings);
    configure_torch(job.execute.threads);
    const PreparedJob prepared = prepare(job, arguments.workers);
    const Dataset& set = set_called(prepared.data, arguments.set);
    ConsoleObserver console(std::cout, std::cerr, Progress::lines);
    run_ranks(arguments.workers, job.comm, [&](World& world) {
      TrainerOptions options;
      if (world.rank() == 0) options.observers = {&console};
      Trainer trainer(world, prepared, options);
      trainer.load_weights(arguments.checkpoint);
      trainer.evaluate(set, arguments.set);
    });
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

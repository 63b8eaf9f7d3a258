// shoal predict: what a checkpoint's model says of samples.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <vector>

#include "shoal/cli/checkpoint_job.h"
#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/prediction_file.h"
#include "shoal/core/error.h"
#include "shoal/data/open_inputs.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {
namespace {

// Shared ownership: sets of the job belong to it too.
using Sets = std::vector<std::shared_ptr<const Dataset>>;

Sets sets_of(const PredictArguments& arguments, const PreparedJob& prepared) {
  Sets sets;
  for (const std::string& file : arguments.inputs) {
    sets.push_back(open_inputs(prepared.job.data, prepared.data, file));
  }
  if (sets.empty()) {
    // Borrowed: the job outlives it.
    sets.emplace_back(std::shared_ptr<const Dataset>(),
                      &set_called(prepared.data, arguments.of.set));
  }
  return sets;
}

std::int64_t samples_in(const Sets& sets) {
  std::int64_t samples = 0;
  for (const auto& set : sets) samples += set->size();
  return samples;
}

std::unique_ptr<PredictionWriter> writer_of(const PredictArguments& arguments, const Sets& sets) {
  const bool to_file = !arguments.output.empty();
  if (arguments.format == PredictionFormat::npy) {
    if (!to_file) throw InvalidInput("--format npy needs --output FILE");
    return npy_predictions(arguments.output, samples_in(sets));
  }
  return csv_predictions(arguments.output, sets.front()->facts(), arguments.top);
}

}  // namespace

int predict_command(const PredictArguments& arguments) {
  try {
    const Job job = job_for_weights(arguments.of.job, arguments.of.settings);
    configure_torch(job.execute.threads);
    const PreparedJob prepared = prepare(job, arguments.of.workers);
    const Sets sets = sets_of(arguments, prepared);
    const std::unique_ptr<PredictionWriter> writer = writer_of(arguments, sets);
    run_ranks(arguments.of.workers, job.comm, [&](World& world) {
      Trainer trainer(world, prepared, {});
      trainer.load_weights(arguments.of.checkpoint);
      for (const auto& set : sets) {
        trainer.predict(*set, [&](const at::Tensor& outputs) { writer->add(outputs); });
      }
    });
    writer->finish();
    if (!arguments.output.empty()) {
      std::cout << fmt::format("{}: {} samples\n", arguments.output, samples_in(sets));
    }
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

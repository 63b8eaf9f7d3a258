// shoal init: a job file to begin with.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "shoal/cli/commands.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/job_template.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/version.h"
#include "shoal/data/open_data.h"
#include "shoal/model/zoo.h"
#include "shoal/train/job.h"
#include "shoal/train/prepared_job.h"

namespace shoal {
namespace {

std::vector<std::string> settings_of(const InitArguments& arguments, const std::string& data) {
  std::vector<std::string> settings{"seed=1", "model.name=" + arguments.model, "data.name=" + data};
  if (!arguments.path.empty()) settings.push_back("data.path=" + arguments.path);
  settings.emplace_back("train.batch=128");
  for (const std::string& setting : first_settings(arguments.model)) settings.push_back(setting);
  return settings;
}

Job job_of(const std::vector<std::string>& settings) {
  Job job;
  std::vector<OptionTable> tables = job.tables();
  for (const std::string& setting : settings) apply_setting(setting, tables);
  return job;
}

// Throws InvalidInput when the job would not run: for want of its files, or because the model
// cannot take such samples.
void require_trainable(const Job& job) {
  require_none(job.problems());
  std::optional<SampleForm> form = sample_form_ahead(job.data);
  if (!form) {
    const DataSplits data = open_data(job.data, static_cast<std::uint64_t>(job.seed));
    form = form_of(*data.train);
  }
  (void)make_chain(job.model, data_shape(*form));
}

// With the named data, or the first that is there and that the model can take.
std::vector<std::string> trainable_settings(const InitArguments& arguments) {
  const auto models = model_names();
  if (std::find(models.begin(), models.end(), arguments.model) == models.end()) {
    const auto meant = nearest(arguments.model, models);
    throw InvalidInput(fmt::format("there is no model '{}': {}", arguments.model,
                                   meant
                                       ? fmt::format("did you mean '{}'?", *meant)
                                       : fmt::format("choose one of {}", fmt::join(models, ", "))));
  }
  if (!arguments.data.empty()) {
    std::vector<std::string> settings = settings_of(arguments, arguments.data);
    require_trainable(job_of(settings));
    return settings;
  }
  std::optional<std::string> reason;
  const std::vector<std::pair<const char*, std::vector<std::string>>> candidates = {
      {"fashion-mnist", {}}, {"random", {}}, {"random", {"data.shape=[3, 32, 32]"}}};
  for (const auto& [data, more] : candidates) {
    try {
      std::vector<std::string> settings = settings_of(arguments, data);
      settings.insert(settings.end(), more.begin(), more.end());
      require_trainable(job_of(settings));
      if (reason) std::cerr << "note: " << *reason << std::endl;
      return settings;
    } catch (const InvalidInput& error) {
      if (!reason) reason = error.what();
    }
  }
  throw InvalidInput(*reason + "; name other data with --data");
}

}  // namespace

int init_command(const InitArguments& arguments) {
  try {
    const bool to_file = arguments.output != "-";
    if (to_file && !arguments.force && std::filesystem::exists(arguments.output)) {
      throw InvalidInput(
          fmt::format("{} is there already: give --force to replace it, or another "
                      "name with -o",
                      arguments.output));
    }
    const std::vector<std::string> settings = trainable_settings(arguments);
    const Job job = job_of(settings);
    const std::string text =
        job_template(settings, fmt::format("{} on {}, for `shoal train {}`. Made by {}.",
                                           job.model.name, name_of(job.data.name),
                                           to_file ? arguments.output : "FILE", kVersion));
    if (!to_file) {
      std::cout << text;
      return kOk;
    }
    replace_file(arguments.output, text);
    std::cout << fmt::format("{}: {} on {}; train it with: shoal train {}\n", arguments.output,
                             job.model.name, name_of(job.data.name), arguments.output);
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal

#include "shoal/train/job.h"

#include <fmt/format.h>

#include <iterator>

#include "shoal/core/error.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

// What a run learns, from what, in which order and by which rule stays what it is when it goes on;
// a key that is not named here does. How long, how fast and where may change.
std::vector<OptionTable> Job::tables() {
  return {OptionTable{"",
                      "",
                      {option("seed", seed,
                              "Everything random depends on it: weights, order of "
                              "samples, augmentation, dropout.")}},
          may_change(describe(model), {"plugin"}),
          may_change(describe(data), {"plugin", "path", "test_path", "labels_path",
                                      "test_labels_path", "threads", "prefetch"}),
          describe(augment),
          may_change(describe(train), {"epochs",
                                       "steps",
                                       "evaluate",
                                       "evaluate_every",
                                       "evaluate_batch",
                                       "metrics",
                                       "non_finite",
                                       "non_finite_limit",
                                       "clip_norm",
                                       "clip_value",
                                       "lr",
                                       "lr_schedule",
                                       "warmup_steps",
                                       "warmup_from",
                                       "warmup_share",
                                       "lr_step_every",
                                       "lr_step_factor",
                                       "lr_power",
                                       "lr_final_fraction",
                                       "lr_rise",
                                       "lr_anneal",
                                       "lr_start_divisor",
                                       "lr_end_divisor",
                                       "lr_scaling",
                                       "lr_base_batch",
                                       "early_stop_patience",
                                       "early_stop_metric",
                                       "early_stop_min_delta"}),
          may_change(describe(parallel)),
          may_change(describe(data_parallel)),
          may_change(describe(pipeline)),
          may_change(describe(recompute)),
          describe(freeze),
          may_change(describe(checkpoint)),
          may_change(describe(metrics)),
          may_change(describe(comm)),
          may_change(describe(execute))};
}

std::vector<std::string> Job::problems() const {
  std::vector<std::string> faults;
  if (seed < 0) faults.push_back(fmt::format("seed is {}: give 0 or more", seed));
  append(faults, model.problems());
  append(faults, data.problems());
  append(faults, augment.problems());
  append(faults, train.problems());
  append(faults, data_parallel.problems());
  append(faults, pipeline.problems());
  append(faults, recompute.problems());
  append(faults, freeze.problems());
  append(faults, checkpoint.problems());
  append(faults, metrics.problems());
  append(faults, comm.problems());
  append(faults, execute.problems());
  if (train.early_stop.patience > 0 && data.validation == 0) {
    faults.emplace_back(
        "[train] early_stop_patience needs a validation set: set [data] validation, for example to "
        "0.1");
  }
  return faults;
}

std::vector<std::string> Job::warnings() const {
  Job present = *this, fresh;
  std::vector<OptionTable> tables = present.tables();
  return without_effect(tables, fresh.tables());
}

Plan Job::plan(int workers) const {
  Plan plan;
  plan.mesh = parallel.mesh.empty() ? Mesh({{"data", workers}}) : Mesh(parallel.mesh);
  if (plan.mesh.size() != workers) {
    throw InvalidInput(fmt::format(
        "[parallel] mesh is {}, which takes {} workers, but there are {}: start {} workers (-n {}) "
        "or change the mesh",
        plan.mesh.text(), plan.mesh.size(), workers, plan.mesh.size(), plan.mesh.size()));
  }
  plan.layout = Layout::standard(plan.mesh);
  if (!parallel.layout.empty()) plan.layout.axes_of_dim = parallel.layout;
  // "all": how many that are is known when the data is read; until then, as many as it takes.
  plan.batch = train.batch.value_or(std::int64_t{1} << 40);
  plan.data_parallel = data_parallel;
  plan.pipeline = pipeline;
  plan.recompute = recompute;
  plan.freeze = freeze;
  require_none(plan.problems());
  return plan;
}

Job read_job(const std::filesystem::path& file, const std::vector<std::string>& settings) {
  Job job;
  std::vector<OptionTable> tables = job.tables();
  std::vector<std::string> faults;
  const auto collect = [&](const auto& read) {
    try {
      read();
    } catch (const InvalidInput& error) {
      append(faults, error.faults);
    }
  };
  collect([&] { read_toml(read_file(file), file.string(), tables); });
  for (const auto& setting : settings) {
    collect([&] { apply_setting(setting, tables); });
  }
  require_none(std::move(faults));
  require_none(job.problems());
  return job;
}

}  // namespace shoal

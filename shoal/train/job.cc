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

std::vector<OptionTable> Job::tables() {
  return {OptionTable{"",
                      "",
                      {option("seed", seed,
                              "Everything random depends on it: weights, order of "
                              "samples, augmentation, dropout.")}},
          describe(model),
          describe(data),
          describe(augment),
          describe(train),
          describe(parallel),
          describe(data_parallel),
          describe(pipeline),
          describe(recompute),
          describe(freeze),
          describe(checkpoint),
          describe(comm),
          describe(execute)};
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
  append(faults, comm.problems());
  append(faults, execute.problems());
  return faults;
}

std::vector<std::string> Job::warnings() const {
  std::vector<std::string> all;
  for (const auto& name : train.optimizer.without_effect()) {
    all.push_back(fmt::format("[train] {} has no effect with this optimizer", name));
  }
  for (const auto& name : augment.without_effect()) {
    all.push_back(fmt::format("[augment] {} has no effect with this crop", name));
  }
  return all;
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
  plan.batch = train.batch;
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

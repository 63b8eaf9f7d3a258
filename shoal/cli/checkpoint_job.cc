#include "shoal/cli/checkpoint_job.h"

#include <fmt/format.h>

#include "shoal/core/error.h"

namespace shoal {

Job job_for_weights(const std::string& file, const std::vector<std::string>& settings) {
  Job job = read_job(file, settings);
  job.parallel = {};
  job.pipeline = {};
  job.checkpoint.path.clear();
  job.metrics.path.clear();
  job.model.weights.clear();
  return job;
}

const Dataset& set_called(const DataSplits& data, const std::string& name) {
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

}  // namespace shoal

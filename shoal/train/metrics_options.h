// The job's [metrics] table.
#pragma once

#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace shoal {

struct MetricsOptions {
  std::string path;                              // folder; empty: no metrics files
  std::vector<std::string> formats = {"jsonl"};  // of "jsonl", "csv", "tensorboard"
  std::vector<std::string> problems() const;
};
OptionTable describe(MetricsOptions& options);  // [metrics]

}  // namespace shoal

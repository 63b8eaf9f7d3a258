// Data sets that a plugin brings.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "shoal/data/data_options.h"
#include "shoal/data/dataset.h"

namespace shoal {

// What a job says of a plugin's data set.
struct DataRequest {
  std::string path;         // [data] path; may be empty
  nlohmann::json settings;  // [data] settings, a table; {} when the job has none
  std::uint64_t seed = 0;   // for what is drawn at random: the same on every worker
  std::stop_token stop;     // asks what takes long to throw Cancelled
};

// The samples are taken as they are: scaled by the data set itself, or not at all.
struct DataParts {
  std::shared_ptr<const Dataset> train;  // [data] validation is cut from it
  std::shared_ptr<const Dataset> test;   // null: [data] test is cut from `train`, too
};

// Called once on every worker, in a thread of its own, and has to give the same there. What it
// throws ends the run before the first step.
using OpenDataParts = std::function<DataParts(const DataRequest&)>;

// What is wrong with plugin, dataset and settings of [data]; loads the plugin.
std::vector<std::string> plugin_data_problems(const DataOptions& options);

// Throws InvalidInput for parts that cannot be used, and with the words of whatever the plugin
// throws. `options` have no problems.
DataParts open_plugin_data(const DataOptions& options, std::uint64_t seed, std::stop_token stop);

}  // namespace shoal

// Jobs whose weights come from a checkpoint: evaluation and prediction.
#pragma once

#include <string>
#include <vector>

#include "shoal/data/open_data.h"
#include "shoal/train/job.h"

namespace shoal {

// The job as any number of workers runs it: weights load into any mesh, so its own does not matter,
// and nothing of a run is written.
Job job_for_weights(const std::string& file, const std::vector<std::string>& settings);

// Throws InvalidInput when there is no such set, or it is empty.
const Dataset& set_called(const DataSplits& data, const std::string& name);

}  // namespace shoal

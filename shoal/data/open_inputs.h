// Samples without labels, for a model that was trained on a job's data.
#pragma once

#include <filesystem>
#include <memory>

#include "shoal/data/open_data.h"

namespace shoal {

// The samples of `file`, scaled as those of `data`, which open_data gave for the same options;
// their labels are all 0. csv: a table with the columns that the model learned from, found by the
// names of the header when the file has one, in any order and beside others; without a header as
// many columns as these, or as the training file has. fashion-mnist and idx: a picture file in IDX
// format. Throws InvalidInput for a file that is missing or holds samples of another shape, and for
// data of which no file can be given (random, cifar); Corrupt for a damaged one.
std::shared_ptr<const Dataset> open_inputs(const DataOptions& options, const DataSplits& data,
                                           const std::filesystem::path& file);

}  // namespace shoal

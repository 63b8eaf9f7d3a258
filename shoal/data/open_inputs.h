// Samples without labels, for a model that was trained on a job's data.
#pragma once

#include <filesystem>
#include <memory>

#include "shoal/data/open_data.h"

namespace shoal {

// The samples of `file`, scaled as those of `data`, which open_data gave for the same options;
// their labels are all 0.
//   csv, typed-csv, parquet: a table with the columns that the model learned from, found by their
//     names, in any order and beside others; categories are those of the training table. csv
//     without a header: as many columns as these, or as the training file has.
//   npy: an array as the job's `path` has it. fashion-mnist, idx: a picture file in IDX format.
//     cifar-10, cifar-100: a file of records, whose labels are not looked at.
//   image-folder: a picture, a folder of pictures, or a folder of such folders, by name; resized
//     and cropped as the job says.
// Throws InvalidInput for a file that is missing, lacks a column, or holds samples of another shape
// or type, and for data of which there are no files (random); Corrupt for a damaged one, pictures
// when they are read.
std::shared_ptr<const Dataset> open_inputs(const DataOptions& options, const DataSplits& data,
                                           const std::filesystem::path& file);

}  // namespace shoal

#include "shoal/data/open_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "shoal/core/error.h"
#include "shoal/data/array_dataset.h"
#include "shoal/data/arrow_module.h"
#include "shoal/data/cifar.h"
#include "shoal/data/csv.h"
#include "shoal/data/idx.h"
#include "shoal/data/image_folder.h"
#include "shoal/data/npy.h"
#include "shoal/data/table_rows.h"

namespace shoal {
namespace {

// A table of nothing but the columns `kept`, in this order, and a last one of zeros for the labels:
// what samples_of() takes apart again.
CsvTable with_label(const CsvTable& table, const std::vector<std::size_t>& kept) {
  CsvTable result{.path = table.path,
                  .names = {},
                  .columns = static_cast<std::int64_t>(kept.size()) + 1,
                  .values = {},
                  .lines = table.lines};
  const auto columns = static_cast<std::size_t>(table.columns);
  for (std::size_t row = 0; row < table.lines.size(); ++row) {
    for (const std::size_t column : kept) {
      result.values.push_back(table.values[row * columns + column]);
    }
    result.values.push_back(0);
  }
  return result;
}

// Columns of the table with these names.
std::vector<std::size_t> columns_called(const CsvTable& table,
                                        const std::vector<std::string>& names) {
  std::vector<std::size_t> columns;
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    const auto found = std::find(table.names.begin(), table.names.end(), name);
    if (found == table.names.end()) missing.push_back(name);
    columns.push_back(static_cast<std::size_t>(found - table.names.begin()));
  }
  if (missing.empty()) return columns;
  throw InvalidInput(fmt::format(
      "{}: expected the columns that the model learned from, found none called '{}': there are {}",
      table.path, fmt::join(missing, "', '"), fmt::join(table.names, ", ")));
}

Samples csv_inputs(const DataOptions& options, const std::filesystem::path& file) {
  const CsvTable table = read_csv(file, options.csv);
  // Which columns were learned, and what they are called: only the file of the training tells.
  const CsvTable training = read_csv(options.path, options.csv);
  const Samples learned = samples_of(training, options.csv, options.classes);
  const auto features = static_cast<std::size_t>(learned.shape.at(0));
  CsvOptions plain = options.csv;
  plain.label = "last";
  plain.labels.clear();
  plain.columns.clear();
  plain.task = LearningTask::regression;
  if (!table.names.empty() && !learned.feature_names.empty()) {
    return samples_of(with_label(table, columns_called(table, learned.feature_names)), plain, 0);
  }
  if (static_cast<std::size_t>(table.columns) == features) {
    std::vector<std::size_t> all(features);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return samples_of(with_label(table, all), plain, 0);
  }
  if (table.columns == training.columns) {
    CsvOptions numbers = options.csv;
    numbers.task = LearningTask::regression;  // whatever stands as label is not looked at
    return samples_of(table, numbers, 0);
  }
  throw InvalidInput(fmt::format(
      "{}: expected {} columns, those that the model learned from, or {} as in {}, found {}",
      table.path, features, training.columns, training.path, table.columns));
}

std::shared_ptr<const Dataset> table_inputs(const DataOptions& options, const DataSplits& data,
                                            const std::string& file) {
  return std::make_shared<TableDataset>(
      file,
      std::make_shared<const TableRows>(file, opens_table(options, file),
                                        data.table_form->without_labels(),
                                        options.csv.allow_non_finite),
      data.scaling.normalization);
}

std::shared_ptr<const Dataset> picture_inputs(const DataOptions& options, const DataSplits& data,
                                              const std::filesystem::path& path) {
  const auto files = std::make_shared<const PictureFiles>(
      PictureFiles::without_labels(path, data.train->facts().answer_names));
  const auto& shape = data.train->sample_shape();
  const PictureSize window{.height = static_cast<int>(shape.at(1)),
                           .width = static_cast<int>(shape.at(2))};
  return std::make_shared<ImageFolderDataset>(
      path.string(), files, PictureFit{.resize = options.resize, .crop = options.crop}, window,
      data.scaling);
}

void require_form(const Samples& samples, const DataOptions& options, const DataSplits& data,
                  const std::string& file) {
  if (samples.shape != data.train->sample_shape()) {
    throw InvalidInput(fmt::format("{}: expected samples of {} as the model takes, found {}", file,
                                   fmt::join(data.train->sample_shape(), "x"),
                                   fmt::join(samples.shape, "x")));
  }
  // Bytes of 0 to 255 and floats of 0 to 1 are easily mistaken for each other. Where nothing is
  // scaled the numbers mean the same.
  const bool learned_from_bytes = data.scaling.unit != 1;
  const bool are_bytes = samples.type == ElementType::uint8;
  if (options.normalize == Normalize::none || are_bytes == learned_from_bytes) return;
  throw InvalidInput(fmt::format("{}: expected {} as in the training files, found {}", file,
                                 learned_from_bytes ? "bytes (uint8)" : "numbers other than bytes",
                                 are_bytes ? "bytes (uint8)" : "numbers of another type"));
}

// Of files that are read whole.
Samples samples_of_file(const DataOptions& options, const std::filesystem::path& file) {
  switch (options.name) {
    case DataName::csv:
      return csv_inputs(options, file);
    case DataName::fashion_mnist:
    case DataName::idx:
      return read_idx_inputs(file);
    case DataName::cifar10:
      return read_cifar_file(file, CifarLabel::cifar10);
    case DataName::cifar100:
      return read_cifar_file(file, CifarLabel::fine);
    case DataName::npy:
      return read_npy_inputs(file, options.csv.allow_non_finite);
    case DataName::image_folder:
    case DataName::typed_csv:
    case DataName::parquet:
    case DataName::text:
    case DataName::random:
    case DataName::plugin:
      break;
  }
  throw InvalidInput(fmt::format(
      "{}: data.name is \"{}\", of which no file of inputs is read: predict the job's own samples",
      file.string(), name_of(options.name)));
}

}  // namespace

std::shared_ptr<const Dataset> open_inputs(const DataOptions& options, const DataSplits& data,
                                           const std::filesystem::path& file) {
  if (options.name == DataName::image_folder) return picture_inputs(options, data, file);
  if (data.table_form != nullptr) return table_inputs(options, data, file.string());
  Samples samples = samples_of_file(options, file);
  require_form(samples, options, data, file.string());
  samples.answers = data.train->answers();
  samples.answer_names = data.train->facts().answer_names;
  const auto count = static_cast<std::size_t>(samples.count * samples.answers.count());
  samples.labels.assign(samples.answers.classes > 0 ? count : 0, 0);
  samples.targets.assign(samples.answers.classes > 0 ? 0 : count, 0.0F);
  return make_dataset(file.string(), std::move(samples), data.scaling);
}

}  // namespace shoal

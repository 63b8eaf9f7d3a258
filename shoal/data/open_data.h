// From a job's [data] table to the data sets it means.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "shoal/core/deadline.h"
#include "shoal/data/array_dataset.h"
#include "shoal/data/data_options.h"
#include "shoal/data/data_span.h"
#include "shoal/data/dataset.h"

namespace shoal {

struct TableForm;

// Shared ownership: training and validation part are views of the same memory.
struct DataSplits {
  std::shared_ptr<const Dataset> train;       // never empty
  std::shared_ptr<const Dataset> validation;  // size 0 unless data.validation asks for samples
  std::shared_ptr<const Dataset> test;        // size 0 when there is none
  // For samples that come later:
  Scaling scaling = {};                              // of all of them
  std::shared_ptr<const TableForm> table_form = {};  // typed-csv, parquet; else null

  // "fashion-mnist: 60000 training, 0 validation and 10000 test samples of 1x28x28, 10 classes"
  std::string summary() const;
};

// Reads, unpacks and checks the files, splits them by `seed` (the same parts in every process), and
// measures means on the training samples. Fashion-MNIST takes about 0.4 s of one core and 55 MB.
// Throws InvalidInput for options with problems(), missing files and files that do not belong
// together, Corrupt for damaged ones, Cancelled after a stop (within a few ms while reading).
DataSplits open_data(const DataOptions& options, std::uint64_t seed, const DataSpanSink& sink = {},
                     const std::stop_token& stop = {});

// What a model has to know of the data to be built.
struct SampleForm {
  std::vector<std::int64_t> shape;  // {1, 28, 28}; channels first
  std::int64_t ids = 0;             // samples are whole numbers 0 .. ids-1; 0: floats
  AnswerForm answers = {};
  bool operator==(const SampleForm&) const = default;
};

// The form of what open_data would give, in a millisecond: from the options, or from the beginning
// of a file. None where only the whole content tells, and where the files are faulty: open_data
// says what is wrong with them. Throws nothing else.
std::optional<SampleForm> sample_form_ahead(const DataOptions& options);

// Where Debian's package dataset-fashion-mnist puts its files.
inline constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

// open_data on a thread of its own, so that a worker joins its world and builds its model while the
// files are unpacked. The destructor stops it within a few milliseconds.
class DataOpening {
 public:
  DataOpening(DataOptions options, std::uint64_t seed, DataSpanSink sink = {});

  // Blocks until the data is there; once. Throws what open_data throws, TimedOut at `deadline`.
  DataSplits take(Deadline deadline);

 private:
  std::mutex mutex_;  // guards the three below
  std::condition_variable done_;
  std::optional<DataSplits> splits_;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace shoal

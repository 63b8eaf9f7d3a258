#include "shoal/data/open_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "shoal/core/check.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/data/array_dataset.h"
#include "shoal/data/arrow_module.h"
#include "shoal/data/cifar.h"
#include "shoal/data/idx.h"
#include "shoal/data/image_folder.h"
#include "shoal/data/npy.h"
#include "shoal/data/picture_decoder.h"
#include "shoal/data/plugin_data.h"
#include "shoal/data/random_dataset.h"
#include "shoal/data/split.h"
#include "shoal/data/table_rows.h"
#include "shoal/data/text_dataset.h"

namespace shoal {
namespace {

// Samples of the files; without `test` they are one table that is yet to be cut.
struct Files {
  Samples train;
  std::optional<Samples> test;
};

std::string part_name(const DataOptions& options, std::string_view part) {
  const bool own = options.name != DataName::plugin;
  return fmt::format("{}, {} part", own ? name_of(options.name) : options.dataset, part);
}

std::filesystem::path idx_folder(const DataOptions& options) {
  return options.path.empty() ? kFashionMnistFolder : options.path;
}

constexpr const char* kTrainImages = "train-images";
constexpr std::int64_t kFashionClasses = 10;

// Test samples go through the model that the training samples gave its form.
void require_equal_form(const Samples& train, const Samples& test, std::string_view test_file) {
  if (test.shape == train.shape && test.type == train.type) return;
  throw InvalidInput(
      fmt::format("{}: expected samples of {} {} as in the training files, found {} {}", test_file,
                  name_of(train.type), fmt::join(train.shape, "x"), name_of(test.type),
                  fmt::join(test.shape, "x")));
}

Files read_idx_folder(const DataOptions& options, std::int64_t classes,
                      const std::stop_token& stop) {
  const std::filesystem::path folder = idx_folder(options);
  Files files;
  files.train = read_idx_samples(find_idx_file(folder, {kTrainImages}),
                                 find_idx_file(folder, {"train-labels"}), classes, stop);
  const auto test_images = find_idx_file(folder, {"t10k-images", "test-images"});
  files.test = read_idx_samples(test_images, find_idx_file(folder, {"t10k-labels", "test-labels"}),
                                files.train.answers.classes, stop);
  require_equal_form(files.train, *files.test, test_images.string());
  return files;
}

Files read_fashion_mnist(const DataOptions& options, const std::stop_token& stop) {
  Files files;
  try {
    files = read_idx_folder(options, kFashionClasses, stop);
  } catch (const InvalidInput& error) {
    throw InvalidInput(
        fmt::format("{}: install the package dataset-fashion-mnist, or set "
                    "data.path to a folder with its four files",
                    error.what()));
  }
  files.train.answer_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                              "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  files.test->answer_names = files.train.answer_names;
  return files;
}

Files read_cifar_folder(const DataOptions& options, const std::stop_token& stop) {
  CifarLabel label = CifarLabel::cifar10;
  if (options.name == DataName::cifar100) {
    label = options.csv.label == "coarse" ? CifarLabel::coarse : CifarLabel::fine;
  }
  TrainAndTest both = read_cifar(options.path, label, stop);
  return {.train = std::move(both.train), .test = std::move(both.test)};
}

Files read_csv_files(const DataOptions& options, const std::stop_token& stop) {
  Files files;
  files.train = samples_of(read_csv(options.path, options.csv, stop), options.csv, options.classes);
  if (options.test_path.empty()) return files;
  files.test = samples_of(read_csv(options.test_path, options.csv, stop), options.csv,
                          files.train.answers.classes);
  const auto& names = files.train.feature_names;
  const auto& test_names = files.test->feature_names;
  if (files.test->shape != files.train.shape ||
      (!names.empty() && !test_names.empty() && names != test_names)) {
    throw InvalidInput(fmt::format(
        "{}: expected the columns of {} ({}), found {}", options.test_path, options.path,
        names.empty() ? fmt::format("{}", files.train.shape[0])
                      : fmt::format("{}", fmt::join(names, ", ")),
        test_names.empty() ? fmt::format("{}", files.test->shape[0])
                           : fmt::format("{}", fmt::join(test_names, ", "))));
  }
  return files;
}

Files read_npy_files(const DataOptions& options, const std::stop_token& stop) {
  NpyOptions npy{.task = options.csv.task,
                 .classes = options.classes,
                 .allow_non_finite = options.csv.allow_non_finite};
  Files files;
  files.train = read_npy_samples(options.path, options.labels_path, npy, stop);
  if (options.test_path.empty()) return files;
  npy.classes = files.train.answers.classes;
  files.test = read_npy_samples(options.test_path, options.test_labels_path, npy, stop);
  require_equal_form(files.train, *files.test, options.test_path);
  if (files.test->answers != files.train.answers) {
    throw InvalidInput(fmt::format("{}: expected {} as in {}, found {}", options.test_labels_path,
                                   files.train.answers.text(), options.labels_path,
                                   files.test->answers.text()));
  }
  return files;
}

Files read_files(const DataOptions& options, const std::stop_token& stop) {
  switch (options.name) {
    case DataName::fashion_mnist:
      return read_fashion_mnist(options, stop);
    case DataName::idx:
      return read_idx_folder(options, options.classes, stop);
    case DataName::cifar10:
    case DataName::cifar100:
      return read_cifar_folder(options, stop);
    case DataName::csv:
      return read_csv_files(options, stop);
    case DataName::npy:
      return read_npy_files(options, stop);
    case DataName::typed_csv:
    case DataName::parquet:
    case DataName::image_folder:
    case DataName::text:
    case DataName::random:
    case DataName::plugin:
      break;
  }
  check(false, "only files that are read whole come here");
  return {};
}

// `measured` gives mean and deviation of the training samples where they are asked for.
template <typename Measure>
Scaling scaling_of(const DataOptions& options, double unit, std::size_t groups,
                   const Measure& measured) {
  switch (options.normalize) {
    case Normalize::none:
      return {};
    case Normalize::unit:
      return {.unit = unit, .normalization = {}};
    case Normalize::standard:
      break;
  }
  if (options.mean.empty()) return {.unit = unit, .normalization = measured()};
  if (options.mean.size() != 1 && options.mean.size() != groups) {
    throw InvalidInput(
        fmt::format("data.mean has {} values: {} takes 1, or {} (one per channel or column)",
                    options.mean.size(), name_of(options.name), groups));
  }
  return {.unit = unit, .normalization = {.mean = options.mean, .deviation = options.deviation}};
}

constexpr double kByteUnit = 1.0 / 255;

std::shared_ptr<const Dataset> part_of_whole(const DataOptions& options, std::string_view part,
                                             const std::shared_ptr<const Dataset>& whole,
                                             std::vector<std::int64_t> rows) {
  return std::make_shared<Subset>(part_name(options, part), whole, std::move(rows));
}

std::int64_t random_classes(const DataOptions& options) {
  if (options.csv.task != LearningTask::classification) return 0;
  return options.classes > 0 ? options.classes : 10;
}

DataSplits open_random(const DataOptions& options, std::uint64_t seed) {
  RandomDatasetOptions random{.name = part_name(options, "training"),
                              .part = "train",
                              .seed = seed,
                              .size = options.size,
                              .sample_shape = options.shape,
                              .classes = random_classes(options)};
  DataSplits splits;
  splits.train = std::make_shared<RandomDataset>(random);
  random.name = part_name(options, "test");
  random.part = "test";
  random.size = options.test_size;
  splits.test = std::make_shared<RandomDataset>(random);
  Split split = split_rows(options.size, 0, options.validation, seed, "data.name = \"random\"");
  splits.validation =
      part_of_whole(options, "validation", splits.train, std::move(split.validation));
  if (splits.validation->size() > 0) {
    splits.train = part_of_whole(options, "training", splits.train, std::move(split.train));
  }
  return splits;
}

// `test` null: the test part is cut from the whole, too.
DataSplits cut_into_parts(const DataOptions& options, const std::shared_ptr<const Dataset>& whole,
                          std::shared_ptr<const Dataset> test, Split split) {
  DataSplits splits;
  splits.validation = part_of_whole(options, "validation", whole, std::move(split.validation));
  splits.test =
      test ? std::move(test) : part_of_whole(options, "test", whole, std::move(split.test));
  const bool whole_trains = static_cast<std::int64_t>(split.train.size()) == whole->size();
  splits.train =
      whole_trains ? whole : part_of_whole(options, "training", whole, std::move(split.train));
  return splits;
}

DataSplits open_files(const DataOptions& options, std::uint64_t seed, const std::stop_token& stop) {
  Files files = read_files(options, stop);
  const bool uncut = !files.test.has_value();
  Split split = split_rows(files.train.count, uncut ? options.test : 0, options.validation, seed,
                           name_of(options.name));
  const double unit = files.train.type == ElementType::uint8 ? kByteUnit : 1.0;
  const auto groups = static_cast<std::size_t>(normalization_groups(files.train));
  const Scaling scaling =
      scaling_of(options, unit, groups, [&] { return measure(files.train, split.train); });
  std::shared_ptr<const Dataset> whole =
      make_dataset(part_name(options, "training"), std::move(files.train), scaling);
  std::shared_ptr<const Dataset> test;
  if (!uncut) test = make_dataset(part_name(options, "test"), std::move(*files.test), scaling);
  DataSplits splits = cut_into_parts(options, whole, test, std::move(split));
  splits.scaling = scaling;
  return splits;
}

DataSplits open_image_folder(const DataOptions& options, std::uint64_t seed,
                             const std::stop_token& stop) {
  const ImageFolder folder = list_image_folder(options.path, stop);
  Split split = split_rows(folder.train->size(), folder.test ? 0 : options.test, options.validation,
                           seed, name_of(options.name));
  const PictureFit fit{.resize = options.resize, .crop = options.crop};
  const PictureSize window = options.crop > 0
                                 ? PictureSize{.height = options.crop, .width = options.crop}
                                 : fit.window(PictureDecoder().size(folder.train->path(0)));
  const Scaling scaling = scaling_of(options, kByteUnit, 3, [&] {
    return measure(*folder.train, fit, window, split.train, stop);
  });
  const auto open = [&](std::string_view part, const std::shared_ptr<const PictureFiles>& files) {
    return std::make_shared<ImageFolderDataset>(part_name(options, part), files, fit, window,
                                                scaling);
  };
  DataSplits splits =
      cut_into_parts(options, open("training", folder.train),
                     folder.test ? open("test", folder.test) : nullptr, std::move(split));
  splits.scaling = scaling;
  return splits;
}

DataSplits open_table(const DataOptions& options, std::uint64_t seed, const std::stop_token& stop) {
  const auto train = std::make_shared<const TableRows>(
      options.path, opens_table(options, options.path),
      TableOptions{.label = options.csv.label,
                   .labels = options.csv.labels,
                   .columns = options.csv.columns,
                   .task = options.csv.task,
                   .text = options.text,
                   .classes = options.classes,
                   .allow_non_finite = options.csv.allow_non_finite},
      stop);
  const bool uncut = options.test_path.empty();
  Split split = split_rows(train->size(), uncut ? options.test : 0, options.validation, seed,
                           name_of(options.name));
  const auto width = static_cast<std::size_t>(train->form().width());
  const Scaling scaling =
      scaling_of(options, 1.0, width, [&] { return measure(*train, split.train, stop); });
  std::shared_ptr<const Dataset> test;
  if (!uncut) {
    test = std::make_shared<TableDataset>(
        part_name(options, "test"),
        std::make_shared<const TableRows>(options.test_path,
                                          opens_table(options, options.test_path), train->form(),
                                          options.csv.allow_non_finite),
        scaling.normalization);
  }
  DataSplits splits = cut_into_parts(
      options,
      std::make_shared<TableDataset>(part_name(options, "training"), train, scaling.normalization),
      std::move(test), std::move(split));
  splits.scaling = scaling;
  splits.table_form = {train, &train->form()};
  return splits;
}

DataSplits open_text(const DataOptions& options, const std::stop_token& stop) {
  const WindowOptions windows{.context = options.context,
                              .stride = options.stride > 0 ? options.stride : options.context};
  const Text text = read_text(options.path, stop);
  const Vocabulary vocabulary = vocabulary_of(text);
  const auto ids = std::make_shared<const std::vector<std::uint32_t>>(ids_of(text, vocabulary));
  const bool uncut = options.test_path.empty();
  const auto characters = static_cast<std::int64_t>(ids->size());
  const TextParts parts =
      text_parts(options.path, characters, uncut ? options.test : 0, options.validation, windows);
  const auto part = [&](const char* name, const auto& from, Range range) {
    return std::make_shared<TextDataset>(part_name(options, name), from, range, windows,
                                         vocabulary);
  };
  DataSplits splits{.train = part("training", ids, parts.train),
                    .validation = part("validation", ids, parts.validation),
                    .test = part("test", ids, parts.test)};
  if (uncut) return splits;
  const auto test = std::make_shared<const std::vector<std::uint32_t>>(
      ids_of(read_text(options.test_path, stop), vocabulary));
  const auto found = static_cast<std::int64_t>(test->size());
  if (windows.windows_in(found) < 1) {
    throw InvalidInput(fmt::format(
        "{} has {} characters, and a sample takes data.context + 1 = {}: lower data.context",
        options.test_path, found, windows.context + 1));
  }
  splits.test = part("test", test, {0, found});
  return splits;
}

DataSplits open_plugin(const DataOptions& options, std::uint64_t seed,
                       const std::stop_token& stop) {
  DataParts parts = open_plugin_data(options, seed, stop);
  Split split = split_rows(parts.train->size(), parts.test ? 0 : options.test, options.validation,
                           seed, options.dataset);
  return cut_into_parts(options, parts.train, std::move(parts.test), std::move(split));
}

DataSplits open_any(const DataOptions& options, std::uint64_t seed, const std::stop_token& stop) {
  if (options.name == DataName::random) return open_random(options, seed);
  if (options.name == DataName::text) return open_text(options, stop);
  if (options.name == DataName::plugin) return open_plugin(options, seed, stop);
  if (options.name == DataName::image_folder) return open_image_folder(options, seed, stop);
  if (options.name == DataName::typed_csv || options.name == DataName::parquet) {
    return open_table(options, seed, stop);
  }
  return open_files(options, seed, stop);
}

}  // namespace

std::string DataSplits::summary() const {
  const std::string& name = train->name();
  return fmt::format("{}: {} training, {} validation and {} test samples of {}, {}",
                     name.substr(0, name.find(',')), train->size(), validation->size(),
                     test->size(), fmt::join(train->sample_shape(), "x"), train->answers().text());
}

DataSplits open_data(const DataOptions& options, std::uint64_t seed, const DataSpanSink& sink,
                     const std::stop_token& stop) {
  require_none(options.problems());
  const auto start = std::chrono::steady_clock::now();
  DataSplits splits = open_any(options, seed, stop);
  if (sink) {
    sink({.name = "preprocess",
          .batch = -1,
          .start = start,
          .end = std::chrono::steady_clock::now()});
  }
  return splits;
}

std::optional<SampleForm> sample_form_ahead(const DataOptions& options) {
  const auto of_images = [&](std::int64_t classes) -> std::optional<SampleForm> {
    try {
      const auto images = find_idx_file(idx_folder(options), {kTrainImages});
      return SampleForm{.shape = read_idx_sample_shape(images), .answers = {.classes = classes}};
    } catch (const Error&) {
      return std::nullopt;
    }
  };
  if (!options.problems().empty()) return std::nullopt;
  switch (options.name) {
    case DataName::random:
      return SampleForm{.shape = options.shape, .answers = {.classes = random_classes(options)}};
    case DataName::fashion_mnist:
      return of_images(kFashionClasses);
    case DataName::idx:
      if (options.classes > 0) return of_images(options.classes);
      return std::nullopt;  // the largest label tells
    case DataName::cifar10:
    case DataName::cifar100:
    case DataName::csv:
    case DataName::typed_csv:
    case DataName::parquet:
    case DataName::npy:
    case DataName::image_folder:
    case DataName::text:
    case DataName::plugin:
      break;
  }
  return std::nullopt;
}

DataOpening::DataOpening(DataOptions options, std::uint64_t seed, DataSpanSink sink)
    : thread_([this, options = std::move(options), seed,
               sink = std::move(sink)](const std::stop_token& stop) {
        std::optional<DataSplits> splits;
        std::exception_ptr failure;
        try {
          name_this_thread("shoal-data");
          splits = open_data(options, seed, sink, stop);
        } catch (...) {
          failure = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        splits_ = std::move(splits);
        failure_ = failure;
        done_.notify_all();
      }) {}

DataSplits DataOpening::take(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto opened = [&] { return splits_.has_value() || failure_ != nullptr; };
  if (!done_.wait_until(lock, deadline.time(), opened)) {
    throw TimedOut(fmt::format("the data was not read after {} ms: is the disk slow?",
                               deadline.waited().count()),
                   {});
  }
  if (failure_) std::rethrow_exception(failure_);
  return std::move(*splits_);
}

}  // namespace shoal

// What a job's [data] table says.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/data/csv.h"

namespace shoal {

enum class DataName : std::uint8_t {
  fashion_mnist,
  idx,
  cifar10,
  cifar100,
  csv,
  typed_csv,
  parquet,
  npy,
  image_folder,
  text,
  random,
  plugin
};
enum class Normalize : std::uint8_t { standard, unit, none };

struct DataOptions {
  DataName name = DataName::fashion_mnist;
  // Folder of fashion-mnist, idx, cifar-10, cifar-100 and image-folder; file of csv, typed-csv,
  // parquet and text, and of the inputs of npy. Empty for fashion-mnist: where Debian's package
  // dataset-fashion-mnist puts it.
  std::string path;
  std::string test_path;         // tables, npy, text: a second file, with the test samples
  std::string labels_path;       // npy: the labels of `path`
  std::string test_labels_path;  // npy: the labels of `test_path`

  // plugin: the library, the name by which it registered the data set, and what the data set is
  // told.
  std::string plugin;
  std::string dataset;
  nlohmann::json settings;  // null, or a table

  // Training samples set aside for validation, by a permutation that depends on the job's seed:
  // a fraction below 1, or a number from 1. The test samples are never among them.
  double validation = 0;
  // Tables, npy, image-folder and plugins without test samples of their own: set aside for the test
  // in the same way, first. Of text the end of the file, before which validation lies.
  double test = 0.2;

  Normalize normalize = Normalize::standard;
  // In place of the measured ones, with `standard`: one value, or one per channel or column.
  std::vector<double> mean;
  std::vector<double> deviation;

  // image-folder: the shorter side after resizing, and the square cut from the middle; 0: neither.
  int resize = 0;
  int crop = 0;

  TextColumns text = TextColumns::refuse;  // typed-csv, parquet

  // csv, typed-csv, parquet; cifar-100 takes "fine" (as "last") or "coarse" as its label.
  CsvOptions csv;
  std::int64_t classes = 0;  // 0: the largest label + 1; random: 10

  // text: characters of a sample, and from one sample to the next; stride 0: the context
  std::int64_t context = 64;
  std::int64_t stride = 0;

  // random
  std::vector<std::int64_t> shape = {1, 28, 28};
  std::int64_t size = 10'000;
  std::int64_t test_size = 1'000;

  // Order of the samples
  bool shuffle = true;
  bool drop_last = false;

  // Loading
  int threads = 1;
  int prefetch = 4;

  // Every fault, in words a user can act on; empty when usable.
  std::vector<std::string> problems() const;
};

OptionTable describe(DataOptions& options);  // [data]

std::string_view name_of(DataName name);  // as in a job file

// Whether all samples may lie in one table, which is cut by `test`.
bool takes_test_path(DataName name);
// Whether what is learned may be a number in place of a class.
bool may_have_numbers(DataName name);
// Whether columns are chosen by name.
bool has_columns(DataName name);

}  // namespace shoal

#include "shoal/data/data_options.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>

#include "shoal/data/plugin_data.h"

namespace shoal {
namespace {

const std::vector<std::pair<std::string, DataName>> kNames = {
    {"fashion-mnist", DataName::fashion_mnist},
    {"idx", DataName::idx},
    {"cifar-10", DataName::cifar10},
    {"cifar-100", DataName::cifar100},
    {"csv", DataName::csv},
    {"typed-csv", DataName::typed_csv},
    {"parquet", DataName::parquet},
    {"npy", DataName::npy},
    {"image-folder", DataName::image_folder},
    {"text", DataName::text},
    {"random", DataName::random},
    {"plugin", DataName::plugin}};

using Faults = std::vector<std::string>;

bool is_part(double value) {
  return value >= 0 && (value < 1 || (value == std::floor(value) && value < 9e15));
}

void check_label_columns(const DataOptions& o, Faults& faults) {
  if (!has_columns(o.name)) {
    faults.push_back(fmt::format(
        "data.labels names columns: only csv, typed-csv and parquet have some, and data.name is "
        "\"{}\"",
        name_of(o.name)));
  }
  if (o.csv.label != "last") {
    faults.push_back(fmt::format(
        "data.label is '{}' and data.labels names columns too: give one of the two", o.csv.label));
  }
  if (o.csv.labels.size() > 1 && o.csv.task == LearningTask::classification) {
    faults.push_back(
        fmt::format("data.labels names {} columns, and data.task = \"classification\" learns one: "
                    "set data.task = \"multi-label\" for columns of 0 and 1, \"regression\" for "
                    "numbers",
                    o.csv.labels.size()));
  }
}

void check_files(const DataOptions& o, Faults& faults) {
  const bool needs_path =
      o.name != DataName::fashion_mnist && o.name != DataName::random && o.name != DataName::plugin;
  if (needs_path && o.path.empty()) {
    faults.push_back(fmt::format("data.path is empty: give the {} of data.name = \"{}\"",
                                 takes_test_path(o.name) ? "file" : "folder", name_of(o.name)));
  }
  if (!o.test_path.empty() && !takes_test_path(o.name)) {
    faults.push_back(
        fmt::format("data.test_path is '{}': only csv, typed-csv, parquet, npy and text take one",
                    o.test_path));
  }
  if (o.csv.separator.size() != 1 ||
      std::string("\"\r\n").find(o.csv.separator[0]) != std::string::npos) {
    faults.push_back(
        fmt::format("data.separator is '{}': give one character such as \",\"", o.csv.separator));
  }
  if (o.csv.label.empty()) {
    faults.push_back("data.label is empty: give \"last\", or a column's name or number");
  }
  if (!o.csv.labels.empty()) check_label_columns(o, faults);
  if (o.name == DataName::cifar100 && o.csv.label != "last" && o.csv.label != "fine" &&
      o.csv.label != "coarse") {
    faults.push_back(
        fmt::format("data.label is '{}': cifar-100 has \"fine\" and \"coarse\"", o.csv.label));
  }
}

void check_labels(const DataOptions& o, Faults& faults) {
  if (o.name != DataName::npy) {
    for (const auto& [key, path] : {std::pair("labels_path", o.labels_path),
                                    std::pair("test_labels_path", o.test_labels_path)}) {
      if (path.empty()) continue;
      faults.push_back(
          fmt::format("data.{} is '{}': only data.name = \"npy\" takes one", key, path));
    }
    return;
  }
  if (o.labels_path.empty()) {
    faults.push_back("data.labels_path is empty: give the .npy file with the labels of data.path");
  }
  if (o.test_path.empty() != o.test_labels_path.empty()) {
    faults.push_back(
        fmt::format("data.{} is empty: data.test_path and data.test_labels_path go together",
                    o.test_path.empty() ? "test_path" : "test_labels_path"));
  }
}

void check_pictures(const DataOptions& o, Faults& faults) {
  constexpr int kMost = 1 << 14;
  for (const auto& [key, side] : {std::pair("resize", o.resize), std::pair("crop", o.crop)}) {
    if (side == 0) continue;
    if (o.name != DataName::image_folder) {
      faults.push_back(
          fmt::format("data.{} is {}: only data.name = \"image-folder\" takes one", key, side));
    } else if (side < 0 || side > kMost) {
      faults.push_back(fmt::format("data.{} is {}: give 1 to {} pixels, or 0", key, side, kMost));
    }
  }
  if (o.resize > 0 && o.crop > o.resize) {
    faults.push_back(
        fmt::format("data.crop is {}, more than data.resize leaves of the shorter "
                    "side, {}: lower it",
                    o.crop, o.resize));
  }
}

void check_split(const DataOptions& o, Faults& faults) {
  if (!is_part(o.validation)) {
    faults.push_back(fmt::format(
        "data.validation is {}: give a fraction of 0 to below 1, or a whole number of samples",
        o.validation));
  }
  if (!is_part(o.test)) {
    faults.push_back(fmt::format(
        "data.test is {}: give a fraction of 0 to below 1, or a whole number of samples", o.test));
  }
}

void check_normalization(const DataOptions& o, Faults& faults) {
  if (o.mean.size() != o.deviation.size()) {
    faults.push_back(fmt::format("data.mean has {} values and data.std {}: give as many of both",
                                 o.mean.size(), o.deviation.size()));
  }
  if (!o.mean.empty() && o.normalize != Normalize::standard) {
    faults.push_back("data.mean is given: it needs data.normalize = \"standard\"");
  }
  for (const double value : o.deviation) {
    if (!(value > 0) || !std::isfinite(value)) {
      faults.push_back(fmt::format("data.std has {}: give numbers above 0", value));
    }
  }
  for (const double value : o.mean) {
    if (!std::isfinite(value)) {
      faults.push_back(fmt::format("data.mean has {}: give finite numbers", value));
    }
  }
  if (o.normalize == Normalize::unit && has_columns(o.name)) {
    faults.push_back(
        fmt::format("data.normalize is \"unit\", which divides bytes by 255: a {} has none, give "
                    "\"standard\" or \"none\"",
                    name_of(o.name)));
  }
}

void check_text(const DataOptions& o, Faults& faults) {
  constexpr std::int64_t kMost = 1 << 20;
  if (o.context < 1 || o.context > kMost) {
    faults.push_back(fmt::format("data.context is {}: give 1 to {} characters", o.context, kMost));
  }
  if (o.stride < 0 || o.stride > kMost) {
    faults.push_back(fmt::format("data.stride is {}: give 1 to {} characters, or 0 for the context",
                                 o.stride, kMost));
  }
  if (!o.mean.empty()) {
    faults.push_back("data.mean is given: text has characters, which are not normalised");
  }
}

void check_random(const DataOptions& o, Faults& faults) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 31;
  std::int64_t elements = 1;
  for (const std::int64_t extent : o.shape) {
    if (extent < 1 || elements > kMostElements / extent) {
      faults.push_back(
          fmt::format("data.shape has the size {}: give sizes of 1 or more, at most "
                      "2^31 elements together",
                      extent));
      break;
    }
    elements *= extent;
  }
  if (o.shape.empty()) faults.push_back("data.shape is empty: give at least one size");
  constexpr std::int64_t kMostSamples = std::numeric_limits<std::uint32_t>::max();
  if (o.size < 1 || o.size > kMostSamples) {
    faults.push_back(fmt::format("data.size is {}: give 1 to {}", o.size, kMostSamples));
  }
  if (o.test_size < 0 || o.test_size > kMostSamples) {
    faults.push_back(fmt::format("data.test_size is {}: give 0 to {}", o.test_size, kMostSamples));
  }
}

// A plugin's samples are what it makes them.
void check_plugin(const DataOptions& o, Faults& faults) {
  for (std::string& fault : plugin_data_problems(o)) faults.push_back(std::move(fault));
  if (o.name != DataName::plugin) return;
  const auto refuse = [&](std::string_view key) {
    faults.push_back(fmt::format(
        "data.{} is given: a plugin's data set says that itself; leave it out, or hand it over in "
        "data.settings",
        key));
  };
  if (!o.mean.empty()) refuse("mean");
  if (o.normalize == Normalize::unit) refuse("normalize");
  if (o.csv.task != LearningTask::classification) refuse("task");
  if (o.classes != 0) refuse("classes");
}

}  // namespace

std::string_view name_of(DataName name) {
  for (const auto& [word, value] : kNames) {
    if (value == name) return word;
  }
  return "?";
}

bool has_columns(DataName name) {
  return name == DataName::csv || name == DataName::typed_csv || name == DataName::parquet;
}

bool takes_test_path(DataName name) {
  return has_columns(name) || name == DataName::npy || name == DataName::text;
}

bool may_have_numbers(DataName name) {
  return has_columns(name) || name == DataName::npy || name == DataName::plugin;
}

std::vector<std::string> DataOptions::problems() const {
  Faults faults;
  check_files(*this, faults);
  check_labels(*this, faults);
  check_pictures(*this, faults);
  check_split(*this, faults);
  check_normalization(*this, faults);
  if (name == DataName::text) check_text(*this, faults);
  if (name == DataName::random) check_random(*this, faults);
  check_plugin(*this, faults);
  if (csv.task == LearningTask::regression && !may_have_numbers(name) && name != DataName::random) {
    faults.push_back(
        fmt::format("data.task is \"regression\": {} has classes; csv, typed-csv, parquet, npy and "
                    "random can have numbers",
                    name_of(name)));
  }
  if (csv.task == LearningTask::multi_label && !may_have_numbers(name)) {
    faults.push_back(
        fmt::format("data.task is \"multi-label\": {} has classes; csv, typed-csv, parquet and npy "
                    "can have several labels",
                    name_of(name)));
  }
  if (classes < 0 || classes > (1 << 24)) {
    faults.push_back(
        fmt::format("data.classes is {}: give 1 to {}, or 0 to count them", classes, 1 << 24));
  }
  if (threads < 0 || threads > 256) {
    faults.push_back(fmt::format("data.threads is {}: give 0 to 256", threads));
  }
  if (prefetch < 1 || prefetch > 1024) {
    faults.push_back(fmt::format("data.prefetch is {}: give 1 to 1024 batches", prefetch));
  }
  return faults;
}

namespace {

// Keys of some kinds of data.
Option of(const std::vector<std::string>& names, Option option) {
  return only_with({"name", names}, std::move(option));
}
Option of(bool (*is_one)(DataName), Option option) {
  std::vector<std::string> names;
  for (const auto& [word, value] : kNames) {
    if (is_one(value)) names.push_back(word);
  }
  return of(names, std::move(option));
}

std::vector<Option> options_of_files(DataOptions& o) {
  return {
      choice(
          "name", o.name, kNames,
          "The data set, or the format of the files at `path`. \"random\" is made up and needs no "
          "file; \"plugin\" is what the library `plugin` calls `dataset`."),
      option(
          "path", o.path,
          "The folder of fashion-mnist, idx, cifar-10, cifar-100 or image-folder; the file of "
          "csv, typed-csv, parquet and text; the .npy file with the inputs; a plugin's data set is "
          "told it. Without it fashion-mnist is where Debian's package puts it. All but pictures, "
          "typed-csv and parquet may be packed (.gz)."),
      of({"plugin"}, option("plugin", o.plugin, "The library, built with shoal_add_plugin.")),
      of({"plugin"}, option("dataset", o.dataset, "The data set's name in the library.")),
      of({"plugin"},
         option("settings", o.settings,
                "A table that is handed to the data set, for example { size = 1000 }.")),
      of({"npy"}, option("labels_path", o.labels_path, "The .npy file with the labels of `path`.")),
      of(takes_test_path,
         option("test_path", o.test_path, "A second file, with the test samples.")),
      of({"npy"}, option("test_labels_path", o.test_labels_path, "The labels of `test_path`.")),
      option("validation", o.validation,
             "Training samples set aside for validation, by the seed: a fraction below 1, or a "
             "number of samples. Never among the test samples."),
      option("test", o.test,
             "csv, typed-csv, parquet and npy without `test_path`, image-folder without a folder "
             "\"test\", plugin without test samples: samples set aside for the test, in the same "
             "way. Of text both are cut from the end of the file, as fractions of its characters."),
  };
}

std::vector<Option> options_of_samples(DataOptions& o) {
  return {
      choice(
          "normalize", o.normalize,
          {{"standard", Normalize::standard}, {"unit", Normalize::unit}, {"none", Normalize::none}},
          "\"standard\": mean 0 and deviation 1 over the training samples, per channel or "
          "column; \"unit\": bytes divided by 255; \"none\": values as stored. random, text and "
          "plugin are always left as they are."),
      option("mean", o.mean,
             "In place of the measured mean (bytes count as value / 255): one number, or one per "
             "channel or column. With `std`."),
      option("std", o.deviation, "In place of the measured deviation: as many as `mean`."),
      of({"image-folder"},
         option("resize", o.resize,
                "The shorter side of every picture is resized to so many pixels; 0: pictures stay "
                "as large as they are.")),
      of({"image-folder"},
         option("crop", o.crop,
                "So many pixels of each side are taken from the middle, which makes pictures of "
                "differing sizes samples of one; 0: the whole picture.")),
  };
}

std::vector<Option> options_of_labels(DataOptions& o) {
  return {
      of({"csv", "typed-csv", "parquet", "cifar-100"},
         option("label", o.csv.label,
                "The column to learn: \"last\", its name, or its number from 0; of cifar-100 "
                "\"fine\" or \"coarse\".")),
      of(has_columns,
         option("labels", o.csv.labels,
                "In place of `label`, one column or several, with `task` \"regression\" or "
                "\"multi-label\". Of npy the labels' second size says how many.")),
      of({"csv", "typed-csv", "parquet", "npy", "random"},
         choice("task", o.csv.task,
                {{"classification", LearningTask::classification},
                 {"regression", LearningTask::regression},
                 {"multi-label", LearningTask::multi_label}},
                "Whether the label is a class 0, 1, 2, ... or a number; \"multi-label\" (not of "
                "random): each label is 0 or 1, and a sample may have several.")),
      of({"idx", "csv", "typed-csv", "parquet", "npy", "random"},
         option("classes", o.classes,
                "Number of classes; 0: the largest training label + 1, and 10 for random.")),
  };
}

std::vector<Option> options_of_columns(DataOptions& o) {
  return {
      of(has_columns,
         option("columns", o.csv.columns,
                "Columns to learn from, by name or number; empty: all but the label.")),
      of({"csv", "typed-csv"},
         choice("header", o.csv.header,
                {{"auto", CsvHeader::automatic}, {"yes", CsvHeader::yes}, {"no", CsvHeader::no}},
                "Whether the first line names the columns; \"auto\": of csv, when it holds text, "
                "of typed-csv, yes.")),
      of({"csv", "typed-csv"},
         option("separator", o.csv.separator, "The character between two fields.")),
      of({"typed-csv", "parquet"},
         choice("text", o.text,
                {{"refuse", TextColumns::refuse}, {"categories", TextColumns::categories}},
                "Columns of text that are learnt from are refused, or each becomes columns of 0 "
                "and 1, one for each of its values in the order of their bytes.")),
      of({"csv", "typed-csv", "parquet", "npy"},
         option("allow_non_finite", o.csv.allow_non_finite,
                "Let NaN and infinity pass instead of refusing the file.")),
  };
}

// Of text and of random.
std::vector<Option> options_of_their_own(DataOptions& o) {
  return {
      of({"text"},
         option("context", o.context,
                "Characters of a sample. What is learned is which one follows each of them.")),
      of({"text"},
         option("stride", o.stride,
                "Characters from the beginning of one sample to that of the next; 0: as many as "
                "`context`, so that each character is learned once an epoch.")),
      of({"random"}, option("shape", o.shape, "Shape of a sample, channels first.")),
      of({"random"}, option("size", o.size, "Training samples, validation included.")),
      of({"random"}, option("test_size", o.test_size, "Test samples.")),
  };
}

std::vector<Option> options_of_loading(DataOptions& o) {
  return {
      option("shuffle", o.shuffle, "Another order of the training samples in every epoch."),
      option("drop_last", o.drop_last,
             "Leaves out the last batch of an epoch when it is smaller than the others."),
      option("threads", o.threads,
             "Threads that read ahead, per worker; 0: batches are read when they are asked for."),
      option("prefetch", o.prefetch,
             "Batches that may be ready before they are asked for: more bridge slower moments of a "
             "disk and take more memory."),
  };
}

}  // namespace

OptionTable describe(DataOptions& o) {
  OptionTable table{
      "data",
      "What the model learns from, and how it is cut into training, validation and test samples.",
      options_of_files(o)};
  for (std::vector<Option> more :
       {options_of_samples(o), options_of_labels(o), options_of_columns(o), options_of_their_own(o),
        options_of_loading(o)}) {
    std::move(more.begin(), more.end(), std::back_inserter(table.options));
  }
  return table;
}

}  // namespace shoal

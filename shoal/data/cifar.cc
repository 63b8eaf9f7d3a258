#include "shoal/data/cifar.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "shoal/core/error.h"
#include "shoal/data/byte_source.h"

namespace shoal {
namespace {

constexpr std::int64_t kPixels = std::int64_t{3} * 32 * 32;

// One record of either set.
struct Format {
  std::string set;
  std::vector<int> classes;  // of each label byte
  std::size_t used;          // which of them is the label
  std::string names_file;
  std::string other_set;

  std::int64_t record() const { return static_cast<std::int64_t>(classes.size()) + kPixels; }
  // The other set has one label byte where this one has two, and the reverse.
  std::int64_t other_record() const { return classes.size() == 1 ? kPixels + 2 : kPixels + 1; }
};

Format format_of(CifarLabel label) {
  switch (label) {
    case CifarLabel::cifar10:
      return {"CIFAR-10", {10}, 0, "batches.meta.txt", "CIFAR-100"};
    case CifarLabel::coarse:
      return {"CIFAR-100", {20, 100}, 0, "coarse_label_names.txt", "CIFAR-10"};
    case CifarLabel::fine:
      return {"CIFAR-100", {20, 100}, 1, "fine_label_names.txt", "CIFAR-10"};
  }
  return {};
}

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// `name` or, when only that is there, `name`.gz.
std::filesystem::path plain_or_packed(const std::filesystem::path& folder,
                                      const std::string& name) {
  const auto packed = folder / (name + ".gz");
  return !is_there(folder / name) && is_there(packed) ? packed : folder / name;
}

void refuse_pickle(const std::filesystem::path& folder, const std::string& name) {
  // The Python version has the same names without ".bin".
  const auto pickle = folder / name.substr(0, name.find('.'));
  if (is_there(folder / name) || is_there(folder / (name + ".gz")) || !is_there(pickle)) return;
  throw Corrupt(fmt::format("{}: expected {}, found the pickles of the Python version, which are "
                            "not read: get the binary version, or write each label and row of "
                            "'data' as bytes with a few lines of Python",
                            folder.string(), name),
                pickle.string());
}

void check_size(const std::string& bytes, const std::string& path, const Format& format) {
  if (bytes.empty()) {
    throw Corrupt(
        fmt::format("{}: byte 0: expected records of {}, found an empty file", path, format.set),
        path);
  }
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size % format.record() == 0) return;
  std::string hint;
  if (static_cast<unsigned char>(bytes[0]) == 0x80) {
    hint = ": it is a pickle of the Python version, get the binary version";
  } else if (size % format.other_record() == 0) {
    hint = fmt::format(": it has the size of a file of {}", format.other_set);
  }
  throw Corrupt(fmt::format("{}: byte {}: expected a whole number of {} records of {} bytes, found "
                            "{} bytes more{}",
                            path, size - size % format.record(), format.set, format.record(),
                            size % format.record(), hint),
                path);
}

// Appends the records of one file.
void append(Samples& samples, std::string& pixels, const std::filesystem::path& path,
            const Format& format, const std::stop_token& stop) {
  const std::string bytes = open_source(path, stop)->read_rest();
  check_size(bytes, path.string(), format);
  const std::size_t labels = format.classes.size();
  for (std::size_t at = 0; at < bytes.size(); at += labels + kPixels) {
    for (std::size_t i = 0; i < labels; ++i) {
      const int label = static_cast<unsigned char>(bytes[at + i]);
      if (label >= format.classes[i]) {
        throw Corrupt(fmt::format("{}: byte {}: expected a label of 0 to {}, found {}",
                                  path.string(), at + i, format.classes[i] - 1, label),
                      path.string());
      }
      if (i == format.used) samples.labels.push_back(label);
    }
    pixels.append(bytes, at + labels, kPixels);
  }
}

std::vector<std::string> read_names(const std::filesystem::path& path, std::size_t expected) {
  if (!is_there(path)) return {};
  const std::string text = open_source(path)->read_rest();
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    if (name.ends_with('\r')) name.pop_back();
    if (!name.empty()) names.push_back(std::move(name));  // the published files end in empty lines
    begin = end + 1;
  }
  if (names.size() != expected) {
    throw Corrupt(fmt::format("{}: expected {} class names, one a line, found {}", path.string(),
                              expected, names.size()),
                  path.string());
  }
  return names;
}

// Up to the last one that is there; opening a missing one before it, or the first, reports it.
std::vector<std::filesystem::path> batches_of_cifar10(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> batches;
  std::size_t last = 1;
  for (std::size_t i = 1; i <= 5; ++i) {
    batches.push_back(plain_or_packed(folder, fmt::format("data_batch_{}.bin", i)));
    if (is_there(batches.back())) last = i;
  }
  batches.resize(last);
  return batches;
}

Samples read_files(const std::vector<std::filesystem::path>& files, const Format& format,
                   std::vector<std::string> names, const std::stop_token& stop) {
  Samples samples;
  samples.shape = {3, 32, 32};
  samples.answers.classes = format.classes[format.used];
  samples.answer_names = std::move(names);
  std::string pixels;
  for (const auto& file : files) append(samples, pixels, file, format, stop);
  samples.count = static_cast<std::int64_t>(samples.labels.size());
  samples.values.resize(pixels.size());
  std::memcpy(samples.values.data(), pixels.data(), pixels.size());
  return samples;
}

}  // namespace

TrainAndTest read_cifar(const std::filesystem::path& folder, CifarLabel label,
                        const std::stop_token& stop) {
  const Format format = format_of(label);
  const bool ten = label == CifarLabel::cifar10;
  std::vector<std::filesystem::path> train;
  refuse_pickle(folder, ten ? "data_batch_1.bin" : "train.bin");
  if (ten) {
    train = batches_of_cifar10(folder);
  } else {
    train = {plain_or_packed(folder, "train.bin")};
  }
  const auto test = plain_or_packed(folder, ten ? "test_batch.bin" : "test.bin");
  const auto names =
      read_names(folder / format.names_file, static_cast<std::size_t>(format.classes[format.used]));
  return {.train = read_files(train, format, names, stop),
          .test = read_files({test}, format, names, stop)};
}

Samples read_cifar_file(const std::filesystem::path& file, CifarLabel label,
                        const std::stop_token& stop) {
  return read_files({file}, format_of(label), {}, stop);
}

}  // namespace shoal

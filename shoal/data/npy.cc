#include "shoal/data/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/data/npy_header.h"

namespace shoal {
namespace {

// Bytes of the values; each size is compared with what the file can hold, so nothing overflows.
std::uint64_t bytes_of_values(const NpyArray& array, const ByteSource& source) {
  std::uint64_t bytes = static_cast<std::uint64_t>(array.type.bytes);
  const std::uint64_t limit = source.largest_size();
  if (std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end()) return 0;
  for (const std::int64_t size : array.shape) {
    const auto extent = static_cast<std::uint64_t>(size);
    if (bytes > limit / extent) {
      throw Corrupt(
          fmt::format("{}: byte {}: expected values of at most {} bytes, which is all the "
                      "file can hold, found the shape {} of {} bytes each",
                      array.path, source.position(), limit, fmt::join(array.shape, " x "),
                      array.type.bytes),
          array.path);
    }
    bytes *= extent;
  }
  return bytes;
}

void reverse_each(std::span<std::byte> values, std::size_t width) {
  for (std::size_t i = 0; i + width <= values.size(); i += width) {
    std::reverse(values.begin() + static_cast<std::ptrdiff_t>(i),
                 values.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
}

// Source: IEEE 754-2008, binary16.
float from_half(std::uint16_t bits) {
  const int sign = bits >> 15 != 0 ? -1 : 1;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  constexpr int kBias = 15;
  if (exponent == 31) {
    return fraction != 0 ? std::numeric_limits<float>::quiet_NaN()
                         : static_cast<float>(sign) * std::numeric_limits<float>::infinity();
  }
  const int significand = exponent == 0 ? fraction : 1024 + fraction;
  return static_cast<float>(sign) *
         std::ldexp(static_cast<float>(significand), std::max(exponent, 1) - kBias - 10);
}

// Calls `take` with the elements, each as the number it is.
template <typename Take>
void with_elements(const NpyArray& array, const Take& take) {
  const auto give = [&]<typename T>(T) { take(array.values.as<T>()); };
  const bool is_signed = array.type.kind == 'i';
  switch (array.type.bytes) {
    case 1:
      return is_signed ? give(std::int8_t{}) : give(std::uint8_t{});
    case 2:
      return is_signed ? give(std::int16_t{}) : give(std::uint16_t{});
    case 4:
      if (array.type.kind == 'f') return give(float{});
      return is_signed ? give(std::int32_t{}) : give(std::uint32_t{});
    case 8:
      if (array.type.kind == 'f') return give(double{});
      return is_signed ? give(std::int64_t{}) : give(std::uint64_t{});
    default:
      check(false, "an NPY type has 1, 2, 4 or 8 bytes");
  }
}

[[noreturn]] void refuse_value(const NpyArray& array, std::size_t element,
                               std::string_view expected, std::string_view found) {
  const auto at = static_cast<std::uint64_t>(array.header_bytes) +
                  element * static_cast<std::uint64_t>(array.type.bytes);
  throw Corrupt(fmt::format("{}: byte {}: expected {}, found {}", array.path, at, expected, found),
                array.path);
}

// All elements, in the file's order, as float32.
std::vector<float> floats_of(const NpyArray& array, bool allow_non_finite) {
  std::vector<float> floats(static_cast<std::size_t>(array.elements()));
  const bool is_half = array.type == NpyType{.kind = 'f', .bytes = 2};
  with_elements(array, [&]<typename T>(std::span<const T> from) {
    for (std::size_t i = 0; i < floats.size(); ++i) {
      const auto value = static_cast<double>(from[i]);
      floats[i] =
          is_half ? from_half(static_cast<std::uint16_t>(from[i])) : static_cast<float>(from[i]);
      if (std::isfinite(floats[i])) continue;
      if (!is_half && std::isfinite(value)) {
        refuse_value(array, i, "a number that 32 bits can hold", fmt::format("{}", value));
      }
      if (!allow_non_finite) {
        refuse_value(array, i, "a finite number",
                     fmt::format("{} (data.allow_non_finite = true lets it pass)", floats[i]));
      }
    }
  });
  return floats;
}

// Values in row-major order: a copy of what is row-major already, else moved sample by sample.
template <typename T>
void put_row_major(const NpyArray& array, std::span<const T> from, std::span<T> to) {
  if (!array.fortran_order || array.shape.size() == 1) {
    std::copy(from.begin(), from.end(), to.begin());
    return;
  }
  const auto samples = static_cast<std::size_t>(array.shape[0]);
  const std::size_t elements = from.size() / samples;
  std::vector<std::size_t> index(array.shape.size(), 0);  // of the element; [0] stays 0
  constexpr std::size_t kTogether = 64;  // samples whose next elements stay in the cache
  for (std::size_t first = 0; first < samples; first += kTogether) {
    const std::size_t end = std::min(samples, first + kTogether);
    std::fill(index.begin(), index.end(), 0);
    for (std::size_t element = 0; element < elements; ++element) {
      std::size_t column = 0;
      for (std::size_t d = array.shape.size() - 1; d > 0; --d) {
        column = column * static_cast<std::size_t>(array.shape[d]) + index[d];
      }
      for (std::size_t i = first; i < end; ++i) {
        to[i * elements + element] = from[column * samples + i];
      }
      for (std::size_t d = array.shape.size() - 1; d > 0; --d) {
        if (++index[d] < static_cast<std::size_t>(array.shape[d])) break;
        index[d] = 0;
      }
    }
  }
}

Samples samples_of(NpyArray array, bool allow_non_finite) {
  constexpr std::int64_t kMostSamples = std::numeric_limits<std::uint32_t>::max();
  if (array.shape[0] > kMostSamples) {
    throw InvalidInput(fmt::format("{}: expected at most {} samples, found {}", array.path,
                                   kMostSamples, array.shape[0]));
  }
  Samples samples;
  samples.count = array.shape[0];
  const std::size_t sizes = array.shape.size() - 1;
  if (sizes == 0 || sizes == 2) samples.shape = {1};
  for (std::size_t i = 1; i <= sizes; ++i) samples.shape.push_back(array.shape[i]);
  if (array.type == NpyType{.kind = 'u', .bytes = 1}) {
    samples.type = ElementType::uint8;
    if (!array.fortran_order || array.shape.size() == 1) {
      samples.values = std::move(array.values);
      return samples;
    }
    samples.values.resize(array.values.size());
    put_row_major<std::uint8_t>(array, std::as_const(array).values.as<std::uint8_t>(),
                                samples.values.as<std::uint8_t>());
    return samples;
  }
  samples.type = ElementType::float32;
  const std::vector<float> floats = floats_of(array, allow_non_finite);
  samples.values.resize(floats.size() * sizeof(float));
  put_row_major<float>(array, floats, samples.values.as<float>());
  return samples;
}

void take_classes(const NpyArray& array, std::int64_t classes, Samples& samples) {
  if (array.type.kind == 'f') {
    throw InvalidInput(fmt::format(
        "{}: expected labels that are whole numbers (bool, int or uint), found float{}: "
        "for numbers to predict set data.task = \"regression\"",
        array.path, 8 * array.type.bytes));
  }
  constexpr std::int64_t kMost = 1 << 24;  // more are another array's numbers
  const std::int64_t limit = classes > 0 ? classes : kMost;
  with_elements(array, [&]<typename T>(std::span<const T> from) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      const T label = from[i];
      if (label < T{0} || static_cast<std::uint64_t>(label) >= static_cast<std::uint64_t>(limit)) {
        refuse_value(array, i, fmt::format("a label of 0 to {}", limit - 1),
                     fmt::format("{}", label));
      }
      samples.labels.push_back(static_cast<std::int64_t>(label));
    }
  });
  samples.answers.classes =
      classes > 0 ? classes : 1 + *std::max_element(samples.labels.begin(), samples.labels.end());
}

// Columns of numbers, or of 0 and 1.
void take_columns(const NpyArray& array, const NpyOptions& options, Samples& samples) {
  const std::vector<float> floats = floats_of(array, options.allow_non_finite);
  const std::int64_t columns = array.shape.size() == 2 ? array.shape[1] : 1;
  samples.answers.yes_or_no = options.task == LearningTask::multi_label;
  if (columns > 1) samples.answers.shape = {columns};
  samples.targets.resize(floats.size());
  put_row_major<float>(array, floats, samples.targets);
  if (!samples.answers.yes_or_no) return;
  for (std::size_t i = 0; i < samples.targets.size(); ++i) {
    const float value = samples.targets[i];
    if (value == 0 || value == 1) continue;
    const auto wide = static_cast<std::size_t>(columns);
    throw Corrupt(
        fmt::format("{}: row {}, column {} (from 0): expected a label of 0 or 1, found {}",
                    array.path, i / wide, i % wide, value),
        array.path);
  }
}

}  // namespace

std::int64_t NpyArray::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

NpyArray read_npy(const std::filesystem::path& path, std::stop_token stop, NpyShapes shapes) {
  return read_npy(*open_source(path, std::move(stop)), shapes);
}

NpyArray read_npy(ByteSource& source, NpyShapes shapes) {
  const NpyHeader header = read_npy_header(source, shapes);
  NpyArray array{.path = source.path(),
                 .type = header.type,
                 .shape = header.shape,
                 .fortran_order = header.fortran_order,
                 .values = {},
                 .header_bytes = static_cast<std::int64_t>(source.position())};
  array.values.resize(bytes_of_values(array, source));
  source.read_exactly(array.values.bytes(), "NPY values");
  source.expect_end(fmt::format("{} values", fmt::join(array.shape, " x ")));
  const auto width = static_cast<std::size_t>(array.type.bytes);
  constexpr bool kNativeIsBig = std::endian::native == std::endian::big;
  if (width > 1 && header.big_endian != kNativeIsBig) reverse_each(array.values.bytes(), width);
  return array;
}

Samples read_npy_samples(const std::filesystem::path& inputs, const std::filesystem::path& labels,
                         const NpyOptions& options, std::stop_token stop) {
  const NpyArray answers = read_npy(labels, stop);
  const bool one_column = options.task == LearningTask::classification;
  const std::size_t sizes = answers.shape.size();
  if (sizes > 2 || (sizes == 2 && one_column && answers.shape[1] != 1)) {
    throw InvalidInput(fmt::format(
        "{}: expected labels of {}, found the shape {}: is it the "
        "file of another role?",
        answers.path, one_column ? "one size" : "one size, or of two for several columns",
        fmt::join(answers.shape, " x ")));
  }
  NpyArray values = read_npy(inputs, std::move(stop));
  if (values.shape[0] != answers.shape[0]) {
    throw InvalidInput(
        fmt::format("{} has {} samples, but {} has {} labels: they do not belong together",
                    values.path, values.shape[0], answers.path, answers.shape[0]));
  }
  Samples samples = samples_of(std::move(values), options.allow_non_finite);
  if (options.task == LearningTask::classification) {
    take_classes(answers, options.classes, samples);
  } else {
    take_columns(answers, options, samples);
  }
  return samples;
}

Samples read_npy_inputs(const std::filesystem::path& inputs, bool allow_non_finite,
                        std::stop_token stop) {
  return samples_of(read_npy(inputs, std::move(stop)), allow_non_finite);
}

}  // namespace shoal

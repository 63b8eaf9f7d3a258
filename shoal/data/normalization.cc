#include "shoal/data/normalization.h"

#include <array>
#include <cmath>

#include "shoal/core/check.h"

namespace shoal {
namespace {

struct Sums {
  double count = 0;
  double sum = 0;
  double squares = 0;
};

// Whole numbers: 65,536 squares of a byte fit 32 bits, sums of them 64.
Normalization measure_bytes(const Samples& samples, std::span<const std::int64_t> rows) {
  const std::int64_t groups = normalization_groups(samples);
  const std::int64_t width = samples.elements() / groups;
  const auto values = samples.values.as<std::uint8_t>();
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(groups));
  std::vector<std::uint64_t> squares(static_cast<std::size_t>(groups));
  constexpr std::int64_t kRun = 1 << 15;
  for (const std::int64_t row : rows) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::uint8_t* begin = values.data() + (row * groups + g) * width;
      for (std::int64_t start = 0; start < width; start += kRun) {
        const std::int64_t end = std::min(width, start + kRun);
        std::uint32_t sum = 0;
        std::uint32_t square = 0;
        for (std::int64_t i = start; i < end; ++i) {
          const std::uint32_t value = begin[i];
          sum += value;
          square += value * value;
        }
        sums[static_cast<std::size_t>(g)] += sum;
        squares[static_cast<std::size_t>(g)] += square;
      }
    }
  }
  Normalization result{.mean = {}, .deviation = {}};
  const double count = static_cast<double>(rows.size()) * static_cast<double>(width);
  for (std::size_t g = 0; g < sums.size(); ++g) {
    const double mean = static_cast<double>(sums[g]) / count;
    const double variance = static_cast<double>(squares[g]) / count - mean * mean;
    add_group(result, mean / 255, variance / (255.0 * 255.0));
  }
  return result;
}

// Two passes, because columns such as years have a mean far larger than their deviation.
Normalization measure_floats(const Samples& samples, std::span<const std::int64_t> rows) {
  const std::int64_t elements = samples.elements();
  const auto groups = static_cast<std::size_t>(normalization_groups(samples));
  const std::int64_t width = elements / static_cast<std::int64_t>(groups);
  const auto values = samples.values.as<float>();
  const double count = static_cast<double>(rows.size()) * static_cast<double>(width);
  std::vector<double> mean(groups);
  std::vector<double> squares(groups);
  const auto each = [&](const auto& take) {
    for (const std::int64_t row : rows) {
      const float* sample = values.data() + row * elements;
      for (std::int64_t i = 0; i < elements; ++i) {
        take(static_cast<std::size_t>(i / width), static_cast<double>(sample[i]));
      }
    }
  };
  each([&](std::size_t group, double value) { mean[group] += value; });
  for (double& value : mean) value /= count;
  each([&](std::size_t group, double value) {
    squares[group] += (value - mean[group]) * (value - mean[group]);
  });
  Normalization result{.mean = {}, .deviation = {}};
  for (std::size_t g = 0; g < groups; ++g) add_group(result, mean[g], squares[g] / count);
  return result;
}

}  // namespace

void add_group(Normalization& normalization, double mean, double variance) {
  normalization.mean.push_back(mean);
  // Rounding leaves a little of nothing in a constant group.
  const double least = 1e-12 * std::max(1.0, mean * mean);
  normalization.deviation.push_back(variance > least ? std::sqrt(variance) : 1.0);
}

std::int64_t normalization_groups(const Samples& samples) {
  if (samples.shape.size() == 3) return samples.shape[0];
  const bool table = samples.shape.size() == 1 && samples.type == ElementType::float32;
  return table ? samples.shape[0] : 1;
}

Normalization measure(const Samples& samples, std::span<const std::int64_t> rows) {
  check(!rows.empty(), "means need at least one sample");
  return samples.type == ElementType::uint8 ? measure_bytes(samples, rows)
                                            : measure_floats(samples, rows);
}

}  // namespace shoal

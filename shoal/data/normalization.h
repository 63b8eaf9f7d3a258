// Means and standard deviations of inputs, found on training samples only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shoal/data/samples.h"

namespace shoal {

// value -> (value - mean) / deviation, with one pair for all elements or one pair per group of
// elements: per channel of a picture, per column of a table. Bytes are divided by 255 before.
struct Normalization {
  std::vector<double> mean = {0.0};
  std::vector<double> deviation = {1.0};  // > 0; as many as means
};

// Appends a group; one that is constant gets the deviation 1, so that its values become 0.
void add_group(Normalization& normalization, double mean, double variance);

// Groups of elements of a sample that share a mean: the channels of pictures (3 dimensions), the
// columns of a table of numbers, one for anything else.
std::int64_t normalization_groups(const Samples& samples);

// Over the samples `rows` (population form: divided by n). Bytes count as value / 255. O(rows x
// elements).
Normalization measure(const Samples& samples, std::span<const std::int64_t> rows);

}  // namespace shoal

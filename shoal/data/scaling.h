// From stored values to a model's inputs.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "shoal/data/normalization.h"

namespace shoal {

// How a stored value becomes an input: first times `unit` (1/255 for bytes, or 1), then normalised.
struct Scaling {
  double unit = 1;
  Normalization normalization;  // one pair, or one per group of elements; groups are equally long

  // input = slope * value + offset, for the values of a group.
  struct Line {
    double slope = 1;
    double offset = 0;
  };
  Line line(std::size_t group) const {
    const double deviation = normalization.deviation[group];
    return {.slope = unit / deviation, .offset = -normalization.mean[group] / deviation};
  }
  double scaled(double value, std::size_t group) const {
    return (value * unit - normalization.mean[group]) / normalization.deviation[group];
  }
};

// The input that each byte becomes, exactly rounded from double.
using ByteTable = std::array<float, 256>;
std::vector<ByteTable> byte_tables(const Scaling& scaling);  // one per group

}  // namespace shoal

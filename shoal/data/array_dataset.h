// Data sets that lie in memory as their files hold them.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "shoal/data/dataset.h"
#include "shoal/data/normalization.h"
#include "shoal/data/samples.h"

namespace shoal {

// How a stored value becomes an input: first times `unit` (1/255 for bytes, or 1), then normalised.
struct Scaling {
  double unit = 1;
  Normalization normalization;  // one pair, or one per group of elements; groups are equally long
};

// Bytes stay bytes in memory, a quarter of their floats, and become floats in read(): each of the
// 256 values was scaled once, exactly rounded from double. Normalised floats are scaled here, once.
std::unique_ptr<Dataset> make_dataset(std::string name, Samples samples, const Scaling& scaling);

}  // namespace shoal

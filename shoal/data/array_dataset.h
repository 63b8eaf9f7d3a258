// Data sets that lie in memory as their files hold them.
#pragma once

#include <memory>
#include <string>

#include "shoal/data/dataset.h"
#include "shoal/data/samples.h"
#include "shoal/data/scaling.h"

namespace shoal {

// Bytes stay bytes in memory, a quarter of their floats, and become floats in read(): each of the
// 256 values was scaled once, exactly rounded from double. Normalised floats are scaled here, once.
std::unique_ptr<Dataset> make_dataset(std::string name, Samples samples, const Scaling& scaling);

}  // namespace shoal

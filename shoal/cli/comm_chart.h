// A picture of measured collectives: time over size, both logarithmic.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/measure.h"

namespace shoal {

// A whole SVG file: the medians as a line with their spread, the 99th percentiles as a thin one.
// `title` stands above. Needs a size.
std::string chart_of(const std::vector<Measured>& sizes, const std::string& title);

}  // namespace shoal

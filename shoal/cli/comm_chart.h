// A picture of measured collectives: time over size, both logarithmic.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/measure.h"

namespace shoal {

struct ChartLine {
  std::string name;
  std::vector<Measured> sizes;  // not empty
};

// A whole SVG file: for each line its medians with their spread; where there is one line, also its
// 99th percentiles. `title` stands above.
std::string chart_of(const std::vector<ChartLine>& lines, const std::string& title);

}  // namespace shoal

// Names of engines and algorithms in commands. Throw InvalidInput listing what there is.
#pragma once

#include <string>
#include <vector>

#include "shoal/comm/world.h"

namespace shoal {

Algorithm algorithm_called(const std::string& name);
std::vector<Engine> engines_called(const std::string& name);  // empty: all

}  // namespace shoal

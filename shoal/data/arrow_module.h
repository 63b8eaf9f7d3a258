// Loads what speaks to Apache Arrow.
#pragma once

#include <memory>

#include "shoal/data/arrow_calls.h"

namespace shoal {

// Loads the module at the first call. Any thread. Throws InvalidInput: why it cannot be used, and
// the remedy.
std::shared_ptr<ArrowCalls> load_arrow();

}  // namespace shoal

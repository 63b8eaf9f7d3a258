// Loads what speaks to Apache Arrow.
#pragma once

#include <memory>

#include "shoal/data/arrow_calls.h"
#include "shoal/data/data_options.h"
#include "shoal/data/table_rows.h"

namespace shoal {

// Loads the module at the first call. Any thread. Throws InvalidInput: why it cannot be used, and
// the remedy.
std::shared_ptr<ArrowCalls> load_arrow();

// How `path` is opened, as a table of the kind that `options` names. Throws as load_arrow does.
TableRows::Open opens_table(const DataOptions& options, const std::string& path);

}  // namespace shoal

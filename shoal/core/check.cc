#include "shoal/core/check.h"

namespace shoal {

void broken_invariant(std::string_view what, const std::source_location& where) {
  throw BrokenInvariant(fmt::format("{}:{}: {} (a bug in shoal; please report it)",
                                    where.file_name(), where.line(), what));
}

}  // namespace shoal

#include "shoal/core/error.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace shoal {

InvalidInput::InvalidInput(std::vector<std::string> all)
    : Error(fmt::format("{}", fmt::join(all, "\n"))), faults(std::move(all)) {}

void require_none(std::vector<std::string> faults) {
  if (!faults.empty()) throw InvalidInput(std::move(faults));
}

TimedOut::TimedOut(std::string_view operation, std::vector<int> absent,
                   std::chrono::milliseconds waited)
    : Error(absent.size() == 1
                ? fmt::format("rank {} has not joined {} after {}", absent[0], operation, waited)
                : fmt::format("ranks {} have not joined {} after {}", fmt::join(absent, ", "),
                              operation, waited)),
      missing(std::move(absent)) {}

}  // namespace shoal

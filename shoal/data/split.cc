#include "shoal/data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/core/philox.h"

namespace shoal {
namespace {

std::int64_t rows_of(double part, std::int64_t n) {
  check(part >= 0, "a part of the samples is not negative");
  if (part >= 1) return std::llround(part);
  return part > 0 ? std::max<std::int64_t>(1, std::llround(part * static_cast<double>(n))) : 0;
}

}  // namespace

Split split_rows(std::int64_t n, double test, double validation, std::uint64_t seed,
                 std::string_view name) {
  check(n >= 0 && n <= std::numeric_limits<std::uint32_t>::max(), "rows are counted in 32 bits");
  const std::int64_t tests = rows_of(test, n);
  const std::int64_t validations = rows_of(validation, n);
  if (tests >= n || validations >= n - tests) {
    throw InvalidInput(
        fmt::format("{} has {} samples: {} for the test and {} for validation leave "
                    "none to train on, lower data.test or data.validation",
                    name, n, tests, validations));
  }
  std::vector<std::uint8_t> part(static_cast<std::size_t>(n), 0);
  if (tests + validations > 0) {
    const auto order = permutation(static_cast<std::uint32_t>(n), seed, "data.split", 0);
    for (std::int64_t i = 0; i < tests + validations; ++i) {
      part[order[static_cast<std::size_t>(i)]] = i < tests ? 2 : 1;
    }
  }
  // Ascending: reading goes forward through memory, and a report of rows is easier on the eye.
  Split split;
  split.train.reserve(static_cast<std::size_t>(n - tests - validations));
  std::vector<std::int64_t>* const lists[] = {&split.train, &split.validation, &split.test};
  for (std::int64_t row = 0; row < n; ++row) {
    lists[part[static_cast<std::size_t>(row)]]->push_back(row);
  }
  return split;
}

}  // namespace shoal

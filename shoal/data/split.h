// The three-way split: no sample is in two parts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace shoal {

struct Split {
  // Rows, each list ascending; together every row once.
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
  std::vector<std::int64_t> test;
};

// Cuts rows 0..n-1 by a permutation that depends on (n, seed) only. `test` and `validation` are
// fractions of n below 1 (a positive one gives at least one row) or whole numbers of rows. The test
// part does not depend on the size of the validation part. n < 2^32.
// Throws InvalidInput when nothing is left to train on; `name` is for the message.
Split split_rows(std::int64_t n, double test, double validation, std::uint64_t seed,
                 std::string_view name);

}  // namespace shoal

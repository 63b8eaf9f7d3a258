#include "shoal/data/idx.h"

#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  using shoal::counting;
  using shoal::idx_header;
  return {idx_header(0x08, {3, 2, 2}) + counting(12), idx_header(0x0D, {2, 3}) + counting(24),
          idx_header(0x0E, {1, 2, 1, 2}) + counting(32), idx_header(0x0B, {5}) + counting(10)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return shoal::fuzz("input", [&] {
    shoal::read_idx(*shoal::memory_source("input", shoal::text_of(data, size)),
                    {.name = "images", .least_dimensions = 1, .most_dimensions = 4});
  });
}

#include "shoal/data/npy.h"

#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  using shoal::counting;
  using shoal::npy_header;
  return {
      npy_header("|u1", "(2, 3)") + counting(6), npy_header(">i2", "(2, 2)") + counting(8),
      npy_header("<f2", "(2, 2)", true) + counting(8),
      npy_header("<f8", "(2, 1)") + std::string(16, '\0'),
      shoal::npy_start("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 3) + "\1\1"};
}

// As inputs, and as labels.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shoal::TempFolder folder;
  const auto path = folder.write("input.npy", shoal::text_of(data, size));
  const auto two =
      folder.write("two.npy", shoal::npy_header("|u1", "(2,)") + std::string("\0\1", 2));
  shoal::fuzz("input.npy", [&] { shoal::read_npy_samples(path, two, {}); });
  shoal::fuzz("input.npy", [&] {
    shoal::read_npy_samples(two, path, {.task = shoal::LearningTask::multi_label});
  });
  return shoal::fuzz("input.npy", [&] { shoal::read_npy_samples(two, path, {}); });
}

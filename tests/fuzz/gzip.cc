#include "shoal/data/byte_source.h"
#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  return {shoal::gzip("a few words, a few words, a few words"), shoal::gzip(""),
          shoal::gzip(shoal::counting(5'000)), shoal::gzip("one") + shoal::gzip("member more"),
          shoal::gzip(std::string(100'000, 'x'))};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return shoal::fuzz("input.gz", [&] {
    const auto source = shoal::memory_source("input.gz", shoal::text_of(data, size));
    const std::uint64_t most = source->largest_size();
    if (source->read_rest().size() > most) std::abort();
  });
}

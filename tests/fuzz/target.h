// What a fuzz target is: LLVMFuzzerTestOneInput, as libFuzzer calls it, and the whole files that
// tests/fuzz/driver.cc mutates where there is no libFuzzer. A target may refuse an input, by
// InvalidInput or Corrupt with one sentence that names it; whatever else happens is a fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// Good files, from which bad ones are made.
std::vector<std::string> fuzz_seeds();

namespace shoal {

// Runs `read`; a refusal has to name the input, which targets call `name`, on one line.
template <typename Read>
int fuzz(std::string_view name, const Read& read) {
  const auto check_refusal = [&](const Error& error) {
    const std::string_view sentence = error.what();
    if (sentence.find(name) == std::string_view::npos || sentence.find('\n') != sentence.npos) {
      std::fprintf(stderr, "fuzz: not one sentence that names %s: %s\n", std::string(name).c_str(),
                   error.what());
      std::abort();
    }
  };
  try {
    read();
  } catch (const InvalidInput& error) {
    check_refusal(error);
  } catch (const Corrupt& error) {
    check_refusal(error);
  }
  return 0;
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace shoal

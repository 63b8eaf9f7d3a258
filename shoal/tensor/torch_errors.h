// What an exception of LibTorch means.
#pragma once

#include <c10/util/Exception.h>

#include <string_view>

namespace shoal {

// LibTorch's CPU allocator has no exception type of its own for this. It says "can't allocate
// memory" where the system refuses at once, "not enough memory" elsewhere.
inline bool is_out_of_memory(const c10::Error& error) {
  const std::string_view text = error.what_without_backtrace();
  return text.find("can't allocate memory") != std::string_view::npos ||
         text.find("not enough memory") != std::string_view::npos;
}

}  // namespace shoal

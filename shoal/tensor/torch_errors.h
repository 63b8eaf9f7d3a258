// What an exception of LibTorch means.
#pragma once

#include <c10/util/Exception.h>

#include <string>
#include <string_view>

#include "shoal/core/error.h"

namespace shoal {

// LibTorch's CPU allocator has no exception type of its own for this. It says "can't allocate
// memory" where the system refuses at once, "not enough memory" elsewhere.
inline bool is_out_of_memory(const c10::Error& error) {
  const std::string_view text = error.what_without_backtrace();
  return text.find("can't allocate memory") != std::string_view::npos ||
         text.find("not enough memory") != std::string_view::npos;
}

// "WHERE: there is no memory for another 64000000 bytes", with what can be done about it.
inline OutOfMemory out_of_memory(const c10::Error& error, const std::string& where) {
  constexpr std::string_view kBefore = "you tried to allocate ";
  const std::string_view text = error.what_without_backtrace();
  const std::size_t at = text.find(kBefore);
  std::string amount = "what it needs";
  if (at != std::string_view::npos) {
    const std::string_view rest = text.substr(at + kBefore.size());
    amount =
        "another " + std::string(rest.substr(0, rest.find_first_not_of("0123456789"))) + " bytes";
  }
  return OutOfMemory(where + ": there is no memory for " + amount +
                     ": use a smaller model or [train] batch, [recompute], or a pipeline over more "
                     "workers");
}

}  // namespace shoal

// Checks for our own bugs (never for bad input). They stay on in every build.
#pragma once

#include <fmt/format.h>

#include <source_location>
#include <stdexcept>

namespace shoal {

// An invariant of the code does not hold.
struct BrokenInvariant : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void broken_invariant(std::string_view what, const std::source_location& where);

inline void check(bool holds, std::string_view what,
                  const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    broken_invariant(what, where);
}

// Prints both values when they differ.
template <typename A, typename B>
void check_equal(const A& a, const B& b, std::string_view what,
                 const std::source_location& where = std::source_location::current()) {
  if (!(a == b)) [[unlikely]] {
    broken_invariant(fmt::format("{}: {} is not {}", what, a, b), where);
  }
}

}  // namespace shoal

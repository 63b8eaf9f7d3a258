// The version that the command prints.
#pragma once

namespace shoal {

inline constexpr const char* kVersion = "shoal " SHOAL_VERSION;

}  // namespace shoal

// Which commit this program was built from.
#pragma once

#include <string>

namespace shoal {

// "1a2b3c4d5e6f of 2026-11-30", with ", and changes" when files differed from it.
std::string build_commit();

}  // namespace shoal

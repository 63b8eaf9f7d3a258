// Of what another library's exception says, the part for a message of one line.
#pragma once

#include <string>

namespace shoal {

inline std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace shoal

// Whether bytes are UTF-8 text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace shoal {

// Offset in bytes of the first sequence that is not UTF-8 (overlong forms, surrogates and values
// above U+10FFFF included); nothing when the whole text is.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

}  // namespace shoal

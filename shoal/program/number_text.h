// Numbers as people read them in listings and pictures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal {

// "512 B", "1.5 KiB", "25 MiB": three significant digits.
std::string human_bytes(std::int64_t bytes);

// "0-2,5": ascending numbers, each once; "" for none.
std::string ranges_text(const std::vector<int>& numbers);

}  // namespace shoal

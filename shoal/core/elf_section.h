// A section of a shared library, read from its file: nothing of the library runs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace shoal {

// The first bytes of the section called `name`, `most` at most; none: the library has no such
// section. Reads some kilobytes, however large the file is. Throws InvalidInput naming the file
// when it is missing, no ELF file, no shared library, or for another processor; Corrupt when its
// tables reach beyond its end.
std::optional<std::vector<std::byte>> elf_section(const std::filesystem::path& library,
                                                  std::string_view name, std::size_t most);

}  // namespace shoal

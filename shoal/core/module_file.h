// Parts of shoal that stand in files of their own and are loaded when they are needed, for what
// they link is not everywhere: an MPI, Apache Arrow.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace shoal {

// The file of that name in a folder beside the program or library that this code is part of, or
// where shoal was installed; the first of them. Looks at the disk only.
std::optional<std::filesystem::path> find_module_file(const std::string& name);

// Where shoal was installed, for messages.
const char* installed_modules();

}  // namespace shoal

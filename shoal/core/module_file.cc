#include "shoal/core/module_file.h"

#include <dlfcn.h>

#include <vector>

namespace shoal {

const char* installed_modules() { return SHOAL_INSTALLED_MODULES; }

std::optional<std::filesystem::path> find_module_file(const std::string& name) {
  std::vector<std::filesystem::path> folders;
  Dl_info own{};
  if (dladdr(reinterpret_cast<const void*>(&find_module_file), &own) != 0) {
    std::error_code ignored;
    std::filesystem::path at = std::filesystem::canonical(own.dli_fname, ignored);
    for (int up = 0; up < 3 && at.has_parent_path(); ++up) {
      at = at.parent_path();
      folders.push_back(at / SHOAL_MODULES);
    }
  }
  folders.emplace_back(installed_modules());
  for (const std::filesystem::path& folder : folders) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / name, ignored)) return folder / name;
  }
  return std::nullopt;
}

}  // namespace shoal

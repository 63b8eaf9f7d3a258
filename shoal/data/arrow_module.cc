#include "shoal/data/arrow_module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr const char* kArrowModule = "shoal_arrow.so";

// In a folder beside the program or library that this code is part of, or where shoal was
// installed.
std::filesystem::path arrow_module_file() {
  std::vector<std::filesystem::path> folders;
  Dl_info own{};
  if (dladdr(reinterpret_cast<const void*>(&load_arrow), &own) != 0) {
    std::error_code ignored;
    std::filesystem::path at = std::filesystem::canonical(own.dli_fname, ignored);
    for (int up = 0; up < 3 && at.has_parent_path(); ++up) {
      at = at.parent_path();
      folders.push_back(at / SHOAL_MODULES);
    }
  }
  folders.emplace_back(SHOAL_INSTALLED_MODULES);
  for (const std::filesystem::path& folder : folders) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / kArrowModule, ignored)) return folder / kArrowModule;
  }
  throw InvalidInput(
      fmt::format("parquet and typed-csv cannot be read: {} is neither beside this program nor in "
                  "{}; run `pip install pyarrow==26.0.1` beside LibTorch and build shoal again",
                  kArrowModule, SHOAL_INSTALLED_MODULES));
}

}  // namespace

std::shared_ptr<ArrowCalls> load_arrow() {
  const std::filesystem::path file = arrow_module_file();
  void* const module = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw InvalidInput(fmt::format(
        "parquet and typed-csv cannot be read: {}: run `pip install pyarrow==26.0.1` beside "
        "LibTorch and build shoal again",
        dlerror()));
  }
  const auto entry = reinterpret_cast<ArrowModuleEntry>(dlsym(module, kArrowModuleEntry));
  ArrowCalls* const calls = entry == nullptr ? nullptr : entry(ArrowCalls::kVersion);
  if (calls == nullptr) {
    throw InvalidInput(
        fmt::format("parquet and typed-csv cannot be read: {} belongs to another version of shoal: "
                    "install them together",
                    file.string()));
  }
  return std::shared_ptr<ArrowCalls>(calls);
}

}  // namespace shoal

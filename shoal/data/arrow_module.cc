#include "shoal/data/arrow_module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

#include "shoal/core/error.h"
#include "shoal/core/module_file.h"

namespace shoal {
namespace {

constexpr const char* kArrowModule = "shoal_arrow.so";

std::filesystem::path arrow_module_file() {
  if (const auto file = find_module_file(kArrowModule)) return *file;
  throw InvalidInput(
      fmt::format("parquet and typed-csv cannot be read: {} is neither beside this program nor in "
                  "{}; run `pip install pyarrow==26.0.1` beside LibTorch and build shoal again",
                  kArrowModule, installed_modules()));
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

TableRows::Open opens_table(const DataOptions& options, const std::string& path) {
  const std::shared_ptr<ArrowCalls> arrow = load_arrow();
  if (options.name == DataName::parquet) return [=] { return arrow->open_parquet(path); };
  const bool has_names = options.csv.header != CsvHeader::no;
  const char separator = options.csv.separator.at(0);
  return [=] { return arrow->open_csv(path, separator, has_names); };
}

}  // namespace shoal

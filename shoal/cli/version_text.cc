#include "shoal/cli/version_text.h"

#include <ATen/Version.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "shoal/cli/build_commit.h"
#include "shoal/comm/mpi_process.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/version.h"

namespace shoal {
namespace {

// As /proc/cpuinfo calls them.
constexpr const char* kExtensions[] = {"sse4_2",      "avx",      "fma",         "avx2",
                                       "avx512f",     "avx512bw", "avx512_vnni", "avx512_bf16",
                                       "avx512_fp16", "amx_tile", "amx_int8",    "amx_bf16",
                                       "asimd",       "asimdhp",  "bf16",        "sve"};

std::string machine() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "another processor";
#endif
}

}  // namespace

std::vector<std::string> instruction_sets(const std::filesystem::path& cpuinfo) {
  std::ifstream file(cpuinfo);
  std::vector<std::string> found;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
    std::istringstream words(line.substr(std::min(line.find(':') + 1, line.size())));
    for (std::string word; words >> word;) found.push_back(word);
    break;  // the other processors have the same
  }
  std::vector<std::string> sets;
  for (const char* extension : kExtensions) {
    if (std::find(found.begin(), found.end(), extension) != found.end()) {
      sets.emplace_back(extension);
    }
  }
  return sets;
}

std::vector<std::string> mpis_built_in() {
  std::vector<std::string> found;
  for (const Mpi which : {Mpi::open_mpi, Mpi::mpich}) {
    try {
      (void)mpi_file(which, "module");
      found.emplace_back(name_of(which));
    } catch (const InvalidInput&) {
      // Not built: its headers were not there.
    }
  }
  return found;
}

std::string version_text() {
  std::string engines;
  for (const Engine engine : kEngines) {
    if (engine == Engine::automatic || engine == Engine::mpi) continue;
    engines += std::string(engines.empty() ? "" : ", ") + std::string(name_of(engine));
  }
  const auto mpis = mpis_built_in();
  engines += mpis.empty() ? "; not mpi: built without its headers"
                          : fmt::format(", mpi ({})", fmt::join(mpis, ", "));
  return fmt::format(
      "{}\n"
      "commit        {}\n"
      "LibTorch      {}, kernels for {}\n"
      "compiler      GCC {}, {}\n"
      "processor     {}: {}\n"
      "engines       {}\n",
      kVersion, build_commit(), TORCH_VERSION, at::get_cpu_capability(), __VERSION__,
#if defined(__OPTIMIZE__)
      "optimized",
#else
      "not optimized",
#endif
      machine(), fmt::join(instruction_sets("/proc/cpuinfo"), " "), engines);
}

}  // namespace shoal

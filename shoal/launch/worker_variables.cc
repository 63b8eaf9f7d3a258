#include "shoal/launch/worker_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace shoal {
namespace {

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

bool has_name(const std::vector<std::string>& variables, std::string_view name) {
  return std::any_of(variables.begin(), variables.end(),
                     [&](const std::string& variable) { return name_of(variable) == name; });
}

// Thread pools of several workers on the same cores take each other's time. The allocator: blocks
// below 1 GiB come from the heap, and the heap is not given back, so a step that allocates what the
// step before has freed gets pages that are there already.
constexpr std::array<std::string_view, 5> kDefaults = {
    "OMP_NUM_THREADS=1",
    "MKL_NUM_THREADS=1",
    "MALLOC_MMAP_THRESHOLD_=1073741824",
    "MALLOC_TRIM_THRESHOLD_=17179869184",
    "MALLOC_TOP_PAD_=67108864",
};

}  // namespace

std::vector<std::string> worker_variables(std::vector<std::string> inherited,
                                          const std::vector<std::string>& added) {
  std::erase_if(inherited,
                [&](const std::string& variable) { return has_name(added, name_of(variable)); });
  inherited.insert(inherited.end(), added.begin(), added.end());
  for (const std::string_view setting : kDefaults) {
    if (!has_name(inherited, name_of(setting))) inherited.emplace_back(setting);
  }
  return inherited;
}

std::vector<std::string> place_variables(const WorkerPlace& place, int secret_fd) {
  const bool ipv6 = place.master_address.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + place.master_address + "]" : place.master_address;
  return {
      fmt::format("SHOAL_RANK={}", place.rank),
      fmt::format("SHOAL_SIZE={}", place.size),
      fmt::format("SHOAL_LOCAL_RANK={}", place.local_rank),
      fmt::format("SHOAL_LOCAL_SIZE={}", place.local_size),
      fmt::format("SHOAL_STORE={}:{}", host, place.master_port),
      fmt::format("SHOAL_SECRET_FD={}", secret_fd),
  };
}

}  // namespace shoal

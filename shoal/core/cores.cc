#include "shoal/core/cores.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "shoal/core/check.h"
#include "shoal/core/partition.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

// A set for processor numbers below `size`: the fixed cpu_set_t ends at 1,024.
class CpuSet {
 public:
  explicit CpuSet(int size) : set_(CPU_ALLOC(size)), bytes_(CPU_ALLOC_SIZE(size)) {
    check(set_ != nullptr, "memory for a set of processors");
    CPU_ZERO_S(bytes_, set_.get());
  }
  cpu_set_t* get() { return set_.get(); }
  std::size_t bytes() const { return bytes_; }
  bool has(int core) const {
    return CPU_ISSET_S(static_cast<std::size_t>(core), bytes_, set_.get());
  }
  void add(int core) { CPU_SET_S(static_cast<std::size_t>(core), bytes_, set_.get()); }

 private:
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  std::unique_ptr<cpu_set_t, Free> set_;
  std::size_t bytes_;
};

std::vector<int> cores_by_affinity() {
  constexpr int kLargest = 1 << 20;
  for (int size = 1024; size <= kLargest; size *= 2) {
    CpuSet set(size);
    if (::sched_getaffinity(0, set.bytes(), set.get()) == 0) {
      std::vector<int> cores;
      for (int core = 0; core < size; ++core) {
        if (set.has(core)) cores.push_back(core);
      }
      return cores;
    }
    if (errno != EINVAL) break;  // EINVAL: the kernel's sets are larger
  }
  return {};
}

std::optional<std::int64_t> number_in(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0) return std::nullopt;  // "max" and -1: no limit
  return value;
}

std::string first_word_of(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// Whole processors that `folder` allows by its own files.
std::optional<int> quota_of(const fs::path& folder) {
  std::string quota;
  std::string period;
  std::ifstream version2(folder / "cpu.max");
  if (!(version2 >> quota >> period)) {
    quota = first_word_of(folder / "cpu.cfs_quota_us");
    period = first_word_of(folder / "cpu.cfs_period_us");
  }
  const auto time = number_in(quota);
  const auto each = number_in(period);
  if (!time || !each) return std::nullopt;
  constexpr std::int64_t kMany = 1 << 20;
  return static_cast<int>(std::min(kMany, (*time - 1) / *each + 1));
}

// The folders of the groups in /proc/self/cgroup that may limit processors: "0::/a/b" for version
// 2, "4:cpu,cpuacct:/a/b" for version 1.
std::vector<std::pair<fs::path, std::string>> group_folders(const fs::path& membership,
                                                            const fs::path& root) {
  std::vector<std::pair<fs::path, std::string>> folders;  // mount, path below it
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string below = line.substr(second + 1);
    if (controllers.empty()) folders.emplace_back(root, below);
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu") continue;
      folders.emplace_back(root / "cpu", below);
      folders.emplace_back(root / controllers, below);
    }
  }
  return folders;
}

}  // namespace

std::optional<int> detail::cores_by_quota(const fs::path& membership, const fs::path& root) {
  std::optional<int> least;
  for (const auto& [mount, below] : group_folders(membership, root)) {
    // Each group above limits too. In a container the path may be the host's: then only the mount
    // itself exists.
    for (fs::path relative = fs::path(below).relative_path();; relative = relative.parent_path()) {
      if (const auto cores = quota_of(mount / relative))
        least = std::min(*cores, least.value_or(*cores));
      if (relative.empty()) break;
    }
  }
  return least;
}

std::vector<int> allowed_cores() {
  std::vector<int> cores = cores_by_affinity();
  if (cores.empty()) {
    const int count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    for (int core = 0; core < count; ++core) cores.push_back(core);
  }
  if (const auto quota = detail::cores_by_quota("/proc/self/cgroup", "/sys/fs/cgroup")) {
    cores.resize(std::min(cores.size(), static_cast<std::size_t>(*quota)));
  }
  return cores;
}

std::vector<int> cores_of_worker(int local_rank, int local_size, const std::vector<int>& cores) {
  check(!cores.empty() && local_rank >= 0 && local_rank < local_size,
        "a worker of this host has its cores");
  const auto count = static_cast<std::int64_t>(cores.size());
  if (count < local_size) return {cores[static_cast<std::size_t>(local_rank % count)]};
  const Range part = part_of(count, local_size, local_rank);
  return {cores.begin() + part.begin, cores.begin() + part.end};
}

void pin_this_thread(const std::vector<int>& cores) {
  if (cores.empty() || std::ranges::min(cores) < 0) return;
  CpuSet set(std::ranges::max(cores) + 1);
  for (const int core : cores) set.add(core);
  // The kernel drops cores that are not there, and refuses when none is left: then nothing changes.
  [[maybe_unused]] const int refused = ::sched_setaffinity(0, set.bytes(), set.get());
}

void name_this_thread(const std::string& name) {
  constexpr std::size_t kKept = 15;
  ::pthread_setname_np(::pthread_self(), name.substr(0, kKept).c_str());
}

}  // namespace shoal

// Checks that read files of the system.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "shoal/cli/doctor_checks.h"
#include "shoal/cli/version_text.h"
#include "shoal/core/cores.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::optional<std::string> first_line_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  if (!std::getline(stream, line)) return std::nullopt;
  return line;
}

// "MemAvailable:   123 kB" of /proc/meminfo, in bytes.
std::optional<std::int64_t> kilobytes_of(const std::filesystem::path& file,
                                         const std::string& name) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream words(line.substr(name.size() + 1));
    std::int64_t value = 0;
    if (words >> value) return value * 1024;
  }
  return std::nullopt;
}

// What the control group (version 2) of this process may still take.
std::optional<std::int64_t> memory_of_group(const MachinePlaces& places) {
  const auto membership = first_line_of(places.proc / "self/cgroup");
  if (!membership || !membership->starts_with("0::")) return std::nullopt;
  std::filesystem::path below = membership->substr(3);
  std::optional<std::int64_t> least;
  for (below = below.relative_path();; below = below.parent_path()) {
    const auto folder = places.sys / "fs/cgroup" / below;
    const auto most = first_line_of(folder / "memory.max");
    const auto used = first_line_of(folder / "memory.current");
    if (most && used && *most != "max") {
      const std::int64_t left =
          std::strtoll(most->c_str(), nullptr, 10) - std::strtoll(used->c_str(), nullptr, 10);
      least = std::min(least.value_or(left), left);
    }
    if (below.empty()) return least;
  }
}

std::string gibibytes(std::int64_t bytes) { return human_bytes(bytes); }

std::optional<double> load_of(const MachinePlaces& places) {
  const auto line = first_line_of(places.proc / "loadavg");
  if (!line) return std::nullopt;
  return std::strtod(line->c_str(), nullptr);
}

// Share of all processors' time since boot that other guests of the host took.
std::optional<double> stolen_share(const MachinePlaces& places) {
  const auto line = first_line_of(places.proc / "stat");
  if (!line || !line->starts_with("cpu ")) return std::nullopt;
  std::istringstream words(line->substr(4));
  double total = 0, stolen = 0;
  constexpr int kSteal = 7, kCounted = 8;  // user nice system idle iowait irq softirq steal
  double value = 0;
  for (int i = 0; i < kCounted && words >> value; ++i) {
    total += value;
    if (i == kSteal) stolen = value;
  }
  return total > 0 ? std::optional(stolen / total) : std::nullopt;
}

// The word in brackets: "always [madvise] never".
std::string chosen_word(const std::string& line) {
  const auto begin = line.find('[');
  const auto end = line.find(']');
  return begin == std::string::npos || end == std::string::npos
             ? line
             : line.substr(begin + 1, end - begin - 1);
}

}  // namespace

Finding check_cores(const MachinePlaces& places) {
  const auto quota = detail::cores_by_quota(places.proc / "self/cgroup", places.sys / "fs/cgroup");
  const auto online = first_line_of(places.sys / "devices/system/cpu/online");
  const auto cores = static_cast<int>(allowed_cores().size());
  const auto load = load_of(places);
  Finding finding{.subject = "cores",
                  .looked_at = "affinity, control group, " + (places.proc / "loadavg").string(),
                  .found = fmt::format("{} for this process (online: {}; quota: {}); load {}",
                                       cores, online.value_or("unknown"),
                                       quota ? fmt::format("{}", *quota) : std::string("none"),
                                       load ? fmt::format("{:.1f}", *load) : "unknown")};
  if (load && *load > 0.5 * cores) {
    finding.standing = Standing::slower;
    finding.remedy = "other programs run beside: end them, or start fewer workers (top)";
  }
  return finding;
}

Finding check_memory(const MachinePlaces& places) {
  const auto file = places.proc / "meminfo";
  const auto free = kilobytes_of(file, "MemAvailable");
  const auto total = kilobytes_of(file, "MemTotal");
  const auto group = memory_of_group(places);
  Finding finding{.subject = "memory",
                  .looked_at = file.string() + ", control group",
                  .found = free && total
                               ? fmt::format("{} free of {}; control group: {}", gibibytes(*free),
                                             gibibytes(*total),
                                             group ? gibibytes(*group) + " left" : "no limit")
                               : std::string("unknown")};
  if (!free) return finding;
  const std::int64_t left = std::min(*free, group.value_or(*free));
  if (left < 256 * kMiB) {
    finding.standing = Standing::hinders;
    finding.remedy = "LibTorch and one worker take 256 MiB: end other programs, or raise the limit";
  } else if (left < 2048 * kMiB) {
    finding.standing = Standing::slower;
    finding.remedy = "a small [train] batch or [recompute] saves memory; shoal plan says how much";
  }
  return finding;
}

Finding check_shared_memory(const MachinePlaces& places) {
  Finding finding{.subject = "shared memory",
                  .looked_at = "memfd_create, " + places.shared_memory.string(),
                  .found = {}};
  const int file = memfd_create("shoal-doctor", MFD_CLOEXEC);
  if (file < 0) {
    finding.found = fmt::format("no memory file can be made: {}", std::strerror(errno));
    finding.standing = Standing::hinders;
    finding.remedy = "workers of one host need it: allow memfd_create, or set comm.engine=tcp";
    return finding;
  }
  close(file);
  struct statvfs mounted {};
  if (statvfs(places.shared_memory.c_str(), &mounted) != 0) {
    finding.found = "memory files can be made; there is no " + places.shared_memory.string();
    return finding;
  }
  const auto bytes = [&](auto blocks) {
    return human_bytes(static_cast<std::int64_t>(blocks * mounted.f_frsize));
  };
  finding.found =
      fmt::format("memory files can be made; {} has {} free of {}", places.shared_memory.string(),
                  bytes(mounted.f_bavail), bytes(mounted.f_blocks));
  // shoal's own engines do not use it.
  if (mounted.f_bavail * mounted.f_frsize < 64 * kMiB) {
    finding.standing = Standing::slower;
    finding.remedy =
        "an MPI beside shoal needs more: mount -o remount,size=1G " + places.shared_memory.string();
  }
  return finding;
}

Finding check_governor(const MachinePlaces& places) {
  const auto file = places.sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor";
  const auto governor = first_line_of(file);
  Finding finding{.subject = "clock rate",
                  .looked_at = file.string(),
                  .found = governor ? "governor " + *governor
                                    : "no governor is visible: the host sets the clock"};
  if (governor && *governor != "performance") {
    finding.standing = Standing::slower;
    finding.remedy = "cpupower frequency-set -g performance";
  }
  return finding;
}

Finding check_huge_pages(const MachinePlaces& places) {
  const auto file = places.sys / "kernel/mm/transparent_hugepage/enabled";
  const auto line = first_line_of(file);
  Finding finding{.subject = "huge pages",
                  .looked_at = file.string(),
                  .found = line ? chosen_word(*line) : "not visible"};
  if (line && chosen_word(*line) == "never") {
    finding.standing = Standing::slower;
    finding.remedy = "echo madvise > " + file.string();
  }
  return finding;
}

Finding check_clock(const MachinePlaces& places) {
  const auto file = places.sys / "devices/system/clocksource/clocksource0/current_clocksource";
  const auto source = first_line_of(file);
  const auto stolen = stolen_share(places);
  Finding finding{
      .subject = "time",
      .looked_at = file.string() + ", " + (places.proc / "stat").string(),
      .found = fmt::format("clock {}; {} of all time was taken by other guests since boot",
                           source.value_or("not visible"),
                           stolen ? fmt::format("{:.1f} %", 100 * *stolen) : "an unknown share")};
  if (stolen && *stolen > 0.02) {
    finding.standing = Standing::slower;
    finding.remedy = "the host has fewer cores than its guests use: nothing in here helps";
  }
  if (source && (*source == "hpet" || *source == "acpi_pm")) {
    finding.standing = Standing::slower;
    finding.remedy = fmt::format("reading it takes microseconds: echo tsc > {}", file.string());
  }
  return finding;
}

Finding check_bf16(const MachinePlaces& places) {
  const auto file = places.proc / "cpuinfo";
  const auto sets = instruction_sets(file);
  std::string with;
  for (const auto& set : sets) {
    if (set == "avx512_bf16" || set == "amx_bf16" || set == "bf16") {
      with += (with.empty() ? "" : ", ") + set;
    }
  }
  Finding finding{
      .subject = "bfloat16", .looked_at = file.string(), .found = "computed by " + with};
  if (with.empty()) {
    finding.found =
        "not computed by this processor: in train.precision = \"bf16\" a convolution takes many "
        "times as long";
    finding.standing = Standing::slower;
    finding.remedy = "keep train.precision = \"fp32\"";
  }
  return finding;
}

Finding check_namespaces(const MachinePlaces& places) {
  const auto file = places.proc / "sys/user/max_net_namespaces";
  const auto most = first_line_of(file);
  Finding finding{.subject = "namespaces",
                  .looked_at = file.string(),
                  .found = most ? fmt::format("{} networks of their own", *most) : "not visible"};
  if (!most || *most == "0") {
    finding.standing = Standing::slower;
    finding.remedy = "only tests that play two hosts on one machine need them";
  }
  return finding;
}

Finding check_variables(const MachinePlaces& places) {
  std::vector<std::string> set, remedies;
  for (const char* name :
       {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "ATEN_CPU_CAPABILITY", "LD_PRELOAD",
        "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}) {
    const auto value = places.environment(name);
    if (!value) continue;
    set.push_back(fmt::format("{}={}", name, *value));
    const bool threads = std::string_view(name).ends_with("NUM_THREADS");
    if (threads && *value != "1") remedies.push_back(fmt::format("unset {}", name));
    if (std::string_view(name) == "ATEN_CPU_CAPABILITY")
      remedies.push_back("unset " + std::string(name));
  }
  Finding finding{.subject = "variables",
                  .looked_at = "threads of OpenMP and MKL, allocator, kernels of LibTorch",
                  .found = set.empty()
                               ? "none is set: workers get one thread and an allocator that "
                                 "keeps large blocks"
                               : fmt::format("{}", fmt::join(set, " "))};
  if (!remedies.empty()) {
    finding.standing = Standing::slower;
    finding.remedy = fmt::format("{}", fmt::join(remedies, "; "));
  }
  return finding;
}

Finding check_temporary(const MachinePlaces& places) {
  Finding finding{.subject = "temporary files",
                  .looked_at = places.temporary.string(),
                  .found = "can be written"};
  if (access(places.temporary.c_str(), W_OK | X_OK) != 0) {
    finding.found = fmt::format("cannot be written: {}", std::strerror(errno));
    finding.standing = Standing::hinders;
    finding.remedy = "set TMPDIR to a folder that can";
  }
  return finding;
}

Finding check_ssh(const MachinePlaces& places) {
  Finding finding{.subject = "ssh", .looked_at = "PATH", .found = {}};
  for (const auto& folder : places.search_path) {
    if (access((folder / "ssh").c_str(), X_OK) != 0) continue;
    finding.found = (folder / "ssh").string();
    return finding;
  }
  finding.found = "not found: --hosts cannot start workers elsewhere";
  finding.standing = Standing::slower;
  finding.remedy = "apt-get install openssh-client";
  return finding;
}

}  // namespace shoal

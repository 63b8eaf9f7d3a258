// The processors this process may use, and what its threads are called and pinned to.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// Allowed by affinity and, rounded up, by the control group's quota; ascending, never empty. With a
// quota below the affinity these are its first ones: a quota counts time and names no processor.
std::vector<int> allowed_cores();

// The cores of worker `local_rank` of `local_size` on this host: disjoint parts while there is a
// core each, otherwise the workers share cores round robin.
std::vector<int> cores_of_worker(int local_rank, int local_size, const std::vector<int>& cores);

void pin_this_thread(const std::vector<int>& cores);  // best effort: an unavailable core is ignored
void name_this_thread(const std::string& name);       // shown by ps and debuggers; 15 bytes kept

namespace detail {
// The processors' worth of time that the control groups (version 2 or 1) of a process allow: the
// least of its group and the groups above, rounded up; nothing without a limit. `membership` is
// /proc/self/cgroup, `root` is /sys/fs/cgroup. Unreadable files count as no limit.
std::optional<int> cores_by_quota(const std::filesystem::path& membership,
                                  const std::filesystem::path& root);
}  // namespace detail

}  // namespace shoal

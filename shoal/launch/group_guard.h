// A tiny process that outlives the launcher by a moment: when the launcher dies, whatever the way,
// it kills the process groups that the launcher had started. (The kernel's own signal on a parent's
// death reaches the workers only, not what they have started.)
#pragma once

#include <sys/types.h>

#include "shoal/launch/owned_fd.h"

namespace shoal {

// Not thread safe. Between construction and destruction a process runs that only waits.
class GroupGuard {
 public:
  // Throws Error when the system has no processes or descriptors left.
  GroupGuard();
  // Lets the groups be and ends the guard.
  ~GroupGuard();
  GroupGuard(const GroupGuard&) = delete;
  GroupGuard& operator=(const GroupGuard&) = delete;

  // From now on the group dies with the launcher.
  void watch(pid_t group);

 private:
  pid_t pid_ = -1;
  OwnedFd to_guard_;
};

}  // namespace shoal

// The groups of one world that are alive, so that they can be aborted together.
#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "shoal/comm/group.h"

namespace shoal {

class GroupRegistry {
 public:
  void abort_all() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    for (Group* group : groups_) group->abort();
  }

 private:
  friend class Registered;
  std::mutex mutex_;  // guards everything below
  std::set<Group*> groups_;
  bool aborted_ = false;
};

// Keeps a group in a registry. Declared last in the group's class: it must leave the registry
// before the rest is destroyed, and joins it when the rest is there.
class Registered {
 public:
  // Shared: a group may outlive its world.
  Registered(std::shared_ptr<GroupRegistry> registry, Group& group)
      : registry_(std::move(registry)), group_(group) {
    if (!registry_) return;
    const std::lock_guard lock(registry_->mutex_);
    registry_->groups_.insert(&group_);
    if (registry_->aborted_) group_.abort();
  }
  ~Registered() {
    if (!registry_) return;
    const std::lock_guard lock(registry_->mutex_);
    registry_->groups_.erase(&group_);
  }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 private:
  std::shared_ptr<GroupRegistry> registry_;
  Group& group_;
};

}  // namespace shoal

#include "shoal/program/processor_sharing.h"

#include <algorithm>

#include "shoal/core/check.h"

namespace shoal {

ProcessorSharing::ProcessorSharing(const std::vector<double>& capacities) {
  for (const double capacity : capacities) {
    check(capacity > 0, "a resource serves something");
    resources_.push_back({.capacity = capacity, .active = {}});
  }
}

void ProcessorSharing::advance(Resource& resource) const {
  if (!resource.active.empty()) {
    const auto works = static_cast<double>(resource.active.size());
    resource.virtual_time += (now_ - resource.last) * resource.capacity / works;
  }
  resource.last = now_;
}

void ProcessorSharing::schedule(int index) {
  Resource& resource = resources_[index];
  ++resource.stamp;
  if (resource.active.empty()) return;
  const double missing = std::max(0.0, resource.active.top().at - resource.virtual_time);
  const auto works = static_cast<double>(resource.active.size());
  events_.push({.time = now_ + missing * works / resource.capacity,
                .order = order_++,
                .resource = index,
                .stamp = resource.stamp,
                .tag = -1});
}

void ProcessorSharing::add(int resource, double amount, int tag) {
  check(amount >= 0, "no work is negative");
  if (resource == kPrivate) {
    events_.push({now_ + amount, order_++, kPrivate, 0, tag});
    return;
  }
  Resource& shared = resources_.at(resource);
  advance(shared);
  shared.active.push({shared.virtual_time + amount, order_++, tag});
  schedule(resource);
}

std::optional<int> ProcessorSharing::next_end() {
  while (!events_.empty()) {
    const Event event = events_.top();
    events_.pop();
    if (event.resource == kPrivate) {
      now_ = event.time;
      return event.tag;
    }
    Resource& resource = resources_[event.resource];
    if (event.stamp != resource.stamp) continue;
    now_ = event.time;
    const Ending ending = resource.active.top();
    // Set, not advanced: rounding must not leave a sliver of work behind.
    resource.virtual_time = ending.at;
    resource.last = now_;
    resource.active.pop();
    schedule(event.resource);
    return ending.tag;
  }
  return std::nullopt;
}

}  // namespace shoal

// Every operation of a group once, to see whether an engine does it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shoal/comm/world.h"

namespace shoal {

// Makes one operation among kTrialRanks ranks; whether the result is right on this one.
struct Trial {
  std::string operation;
  std::function<bool(Group&, Deadline)> is_right;
};
inline constexpr int kTrialRanks = 2;
const std::vector<Trial>& trials();

// By operation why it is not right; those that are not named are. `run` runs a function on ranks of
// a world with these options: on all of them, or on this process's one. A group serves until an
// operation fails.
using RunsOnRanks =
    std::function<void(const CommOptions& options, const std::function<void(World&)>& body)>;
std::map<std::string, std::string> faults_of(const CommOptions& options, const RunsOnRanks& run);

}  // namespace shoal

// Slurm's short forms for lists of hosts and of tasks on hosts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// The first host of a list such as "node[001-003,007],login2" ("node001"). Several brackets in one
// name are allowed ("rack[1-2]n[3,5]" begins with "rack1n3"). Throws InvalidInput naming the list
// when it is empty or a bracket is not closed, empty, or holds something else than numbers.
std::string first_host(std::string_view nodelist);

// Numbers of tasks by node, from "4(x2),3" (4, 4, 3). Throws InvalidInput.
std::vector<int> tasks_by_node(std::string_view tasks);

}  // namespace shoal

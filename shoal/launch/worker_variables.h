// The environment that a worker starts with.
#pragma once

#include <string>
#include <vector>

#include "shoal/launch/environment.h"

namespace shoal {

// `inherited` with `added` in place of variables of the same name, plus the settings that make a
// training worker fast, where `inherited` does not set them: one OpenMP and MKL thread, an
// allocator that keeps large blocks.
std::vector<std::string> worker_variables(std::vector<std::string> inherited,
                                          const std::vector<std::string>& added);

// The SHOAL_* variables that place_from_environment reads back; the secret is in the descriptor.
std::vector<std::string> place_variables(const WorkerPlace& place, int secret_fd);

}  // namespace shoal

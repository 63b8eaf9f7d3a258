// When this process was started, before its libraries were loaded.
#pragma once

#include <chrono>

namespace shoal {

// From the kernel's record, exact to its clock tick (10 ms as a rule); the time of the call where
// there is no such record.
std::chrono::system_clock::time_point process_start_time();

}  // namespace shoal

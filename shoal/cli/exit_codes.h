// What the command's exit code says.
#pragma once

#include <exception>
#include <iosfwd>

namespace shoal {

inline constexpr int kOk = 0;
inline constexpr int kOther = 1;
inline constexpr int kRefused = 2;  // before the first step: bad job, bad input, port in use, ...
inline constexpr int kLost = 3;     // a worker is lost, or a deadline has passed
inline constexpr int kMemory = 4;
inline constexpr int kNotFinite = 5;
inline constexpr int kInterrupted = 130;  // Ctrl-C
inline constexpr int kTerminated = 143;   // SIGTERM

// Prints the failure, a line per fault, each beginning with "error: ", and returns its code.
// `training`: the first step is done, so that bad input is no longer a refusal.
int report_failure(const std::exception_ptr& failure, bool training, std::ostream& err);

}  // namespace shoal

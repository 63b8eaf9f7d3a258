// What the command's exit code says.
#pragma once

#include <exception>
#include <iosfwd>

namespace shoal {

enum ExitCode : int {
  kOk = 0,
  kOther = 1,
  kRefused = 2,  // before the first step: bad job, bad input, port in use, unwritable folder
  kLost = 3,     // a worker is lost, or a deadline has passed
  kMemory = 4,
  kNotFinite = 5,
  kInterrupted = 130,  // Ctrl-C
  kTerminated = 143,   // SIGTERM
};

// Prints the failure, a line per fault, each beginning with "error: ", and returns its code.
// `training`: the first step is done, so that bad input is no longer a refusal.
int report_failure(const std::exception_ptr& failure, bool training, std::ostream& err);

}  // namespace shoal

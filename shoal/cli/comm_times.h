// Times and rates as `shoal comm bench` prints them.
#pragma once

#include <string>

#include "shoal/comm/machine_probe.h"

namespace shoal {

std::string time_text(double seconds);           // "184 ns", "1.25 us", "18.0 ms": three digits
std::string rate_text(double per_second);        // "1.25 GB/s": three digits, powers of 1000
std::string text_of(const MachineProbe& probe);  // a line

}  // namespace shoal

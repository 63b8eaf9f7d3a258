// How far apart the cores are that a measurement runs on, and how fast memory is copied: measured
// times mean little without them.
#pragma once

#include <optional>
#include <string_view>

namespace shoal {

struct MachineProbe {
  // Median way of a flag from the first allowed core to the second; nothing with one core.
  std::optional<double> ping_seconds;
  double copied_per_second = 0;  // bytes by one core, 64 MiB at a time; each is read and written
  double clock_seconds = 0;      // to read the clock: part of every time measured
};

// The way alone, in milliseconds: virtual cores move, and with them what a measurement means.
std::optional<double> probe_ping();

// "near" below 100 ns (a shared last cache), "far" above 150, else "between".
std::string_view distance_of(double ping_seconds);

// Takes about a fifth of a second and starts a thread, which ends before it returns.
MachineProbe probe_machine();

}  // namespace shoal

#include "shoal/cli/comm_times.h"

#include <fmt/format.h>

namespace shoal {
namespace {

// Three significant digits without an exponent.
std::string three_digits(double value) {
  return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

}  // namespace

std::string time_text(double seconds) {
  if (seconds < 999.5e-9) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 999.5e-6) return three_digits(seconds * 1e6) + " us";
  if (seconds < 0.9995) return three_digits(seconds * 1e3) + " ms";
  return three_digits(seconds) + " s";
}

std::string rate_text(double per_second) {
  if (per_second < 999.5e6) return three_digits(per_second / 1e6) + " MB/s";
  return three_digits(per_second / 1e9) + " GB/s";
}

std::string text_of(const MachineProbe& probe) {
  const std::string ping =
      probe.ping_seconds ? fmt::format("{} from core to core ({})", time_text(*probe.ping_seconds),
                                       distance_of(*probe.ping_seconds))
                         : "one core";
  return fmt::format("machine: {}, one core copies {}, the clock takes {}\n", ping,
                     rate_text(probe.copied_per_second), time_text(probe.clock_seconds));
}

}  // namespace shoal

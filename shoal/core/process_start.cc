#include "shoal/core/process_start.h"

#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace shoal {

std::chrono::system_clock::time_point process_start_time() {
  const auto now = std::chrono::system_clock::now();
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto after_name = text.rfind(')');  // the name may hold blanks and brackets
  if (after_name == std::string::npos) return now;
  std::istringstream fields(text.substr(after_name + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {  // field 22: ticks after boot
  }
  timespec since_boot{};
  if (!fields || clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return now;
  const double started =
      std::strtod(field.c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
  const double age = static_cast<double>(since_boot.tv_sec) +
                     static_cast<double>(since_boot.tv_nsec) * 1e-9 - started;
  return now - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                   std::chrono::duration<double>(age));
}

}  // namespace shoal

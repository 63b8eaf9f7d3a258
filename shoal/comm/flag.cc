#include "shoal/comm/flag.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace shoal {

// Not FUTEX_PRIVATE: the word may lie in memory that several processes map.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::chrono::milliseconds limit) {
  timespec time{};
  time.tv_sec = limit.count() / 1000;
  time.tv_nsec = (limit.count() % 1000) * 1'000'000;
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &time, nullptr, 0);
}

void futex_wake_all(const std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

Patience Patience::of(int ranks_on_host, int cores) {
  using std::chrono::microseconds;
  if (ranks_on_host <= cores) return {microseconds(50), microseconds(200)};
  return {microseconds(0), microseconds(1000)};
}

}  // namespace shoal

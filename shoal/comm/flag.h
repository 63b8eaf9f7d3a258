// A counter through which one rank tells the others how far it is, in memory that they share:
// threads of one process or processes that map the same segment.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace shoal {

// Sleeps in the kernel until another thread or process wakes `word`, until it no longer holds
// `expected`, or until `limit` has passed. May return early.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::chrono::milliseconds limit);
void futex_wake_all(const std::atomic<std::uint32_t>& word);

// Let the sibling hyper-thread, or the hypervisor, have the core for some tens of cycles.
inline void pause_core() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// One rank advances it, any number wait. The lowest bit says that somebody sleeps: the writer
// learns it from the very exchange that publishes the count, so that no wake-up can be missed and
// none is paid for in vain. Counts wrap at 2^31; they are compared by their distance.
class Flag {
 public:
  // By the flag's one writer. Everything written before is visible to whoever sees the count.
  // Whether somebody sleeps; who sleeps on the flag itself is woken.
  bool advance_to(std::uint32_t count) {
    const std::uint32_t before = word_.exchange(count << 1, std::memory_order_acq_rel);
    if ((before & 1) == 0) [[likely]]
      return false;
    futex_wake_all(word_);
    return true;
  }
  bool reached(std::uint32_t count) const {
    return not_behind(word_.load(std::memory_order_acquire), count);
  }
  std::uint32_t count() const { return word_.load(std::memory_order_acquire) >> 1; }

  // Says that the caller is about to sleep elsewhere, where the writer can wake it. False when the
  // count is reached: do not sleep.
  bool expect(std::uint32_t count) {
    std::uint32_t seen = word_.load(std::memory_order_acquire);
    while (!not_behind(seen, count)) {
      if ((seen & 1) != 0 ||
          word_.compare_exchange_weak(seen, seen | 1, std::memory_order_acq_rel)) {
        return true;
      }
    }
    return false;
  }
  // Returns when the count is reached or `limit` has passed, or earlier.
  void sleep(std::uint32_t count, std::chrono::milliseconds limit) {
    std::uint32_t seen = word_.load(std::memory_order_acquire);
    if (not_behind(seen, count)) return;
    if ((seen & 1) == 0 &&
        !word_.compare_exchange_strong(seen, seen | 1, std::memory_order_acq_rel)) {
      return;
    }
    futex_wait(word_, seen | 1, limit);
  }
  // Lets sleepers look around although the count has not moved.
  void wake() const { futex_wake_all(word_); }

 private:
  static bool not_behind(std::uint32_t word, std::uint32_t count) {
    return static_cast<std::int32_t>((word & ~1U) - (count << 1)) >= 0;
  }
  std::atomic<std::uint32_t> word_{0};
};
static_assert(sizeof(Flag) == 4 && std::atomic<std::uint32_t>::is_always_lock_free);

// How long a rank that waits keeps its core. A sleeping core takes 20-50 us to wake, so a hot
// exchange must not sleep; with more ranks than cores the awaited rank may need this very core.
struct Patience {
  std::chrono::microseconds spin{0};   // polling
  std::chrono::microseconds yield{0};  // then offering the core between polls; then sleep
  static Patience of(int ranks_on_host, int cores);
  bool spins() const { return spin.count() != 0; }  // each rank has a core of its own
};

}  // namespace shoal

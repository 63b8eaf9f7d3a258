// Counts the bytes of tensors that threads allocate: what a rank really holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace shoal {

// Counters; any thread may read them.
class MemoryAccount {
 public:
  std::int64_t current() const { return current_.load(std::memory_order_relaxed); }
  std::int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() { peak_.store(current(), std::memory_order_relaxed); }
  void add(std::int64_t bytes);  // negative: freed

 private:
  std::atomic<std::int64_t> current_{0};
  std::atomic<std::int64_t> peak_{0};
};

// While it lives, CPU tensors that this thread allocates or frees are booked on `account` (through
// c10's memory reporting, so LibTorch's allocator stays as it is). Nested scopes: the innermost
// counts. A tensor freed outside any scope of its account stays booked. Null books nothing.
class MemoryAccountScope {
 public:
  explicit MemoryAccountScope(std::shared_ptr<MemoryAccount> account);
  ~MemoryAccountScope();
  MemoryAccountScope(const MemoryAccountScope&) = delete;
  MemoryAccountScope& operator=(const MemoryAccountScope&) = delete;

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

}  // namespace shoal

// Counts the bytes of tensors that threads allocate: what a rank really holds.
#pragma once

#include <c10/core/DeviceType.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace shoal {

// Counters; any thread may read them.
class MemoryAccount {
 public:
  explicit MemoryAccount(c10::DeviceType device = c10::DeviceType::CPU) : device_(device) {}
  c10::DeviceType device() const { return device_; }
  std::int64_t current() const { return current_.load(std::memory_order_relaxed); }
  std::int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() { peak_.store(current(), std::memory_order_relaxed); }
  void add(std::int64_t bytes);  // negative: freed

 private:
  const c10::DeviceType device_;
  std::atomic<std::int64_t> current_{0};
  std::atomic<std::int64_t> peak_{0};
};

// While it lives, tensors of its device that this thread allocates or frees are booked on `account`
// (through c10's memory reporting, so LibTorch's allocators stay as they are). Nested scopes: the
// innermost counts. A tensor freed outside any scope of its account stays booked. Null books
// nothing.
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

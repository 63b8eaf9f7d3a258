#include "shoal/tensor/memory_account.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <utility>

namespace shoal {
namespace {

// c10's allocators report to whatever stands in the profiler's slot of the thread, and autograd
// hands the slot on to threads of its own.
class Reporter final : public c10::MemoryReportingInfoBase {
 public:
  explicit Reporter(std::shared_ptr<MemoryAccount> account) : account_(std::move(account)) {}

  void reportMemoryUsage(void* /*ptr*/, int64_t bytes, size_t /*total_allocated*/,
                         size_t /*total_reserved*/, c10::Device device) override {
    if (device.type() == account_->device()) account_->add(bytes);
  }
  bool memoryProfilingEnabled() const override { return true; }

 private:
  std::shared_ptr<MemoryAccount> account_;  // shared: tensors are booked from several threads
};

}  // namespace

void MemoryAccount::add(std::int64_t bytes) {
  const std::int64_t now = current_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

struct MemoryAccountScope::Guard {
  explicit Guard(std::shared_ptr<MemoryAccount> account)
      : info(c10::DebugInfoKind::PROFILER_STATE, std::make_shared<Reporter>(std::move(account))) {}
  c10::DebugInfoGuard info;
};

MemoryAccountScope::MemoryAccountScope(std::shared_ptr<MemoryAccount> account)
    : guard_(account == nullptr ? nullptr : std::make_unique<Guard>(std::move(account))) {}

MemoryAccountScope::~MemoryAccountScope() = default;

}  // namespace shoal

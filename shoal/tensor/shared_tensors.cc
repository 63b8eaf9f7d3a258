#include "shoal/tensor/shared_tensors.h"

#include <c10/core/CPUAllocator.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <unordered_map>
#include <utility>

#include "shoal/core/error.h"

namespace shoal {
namespace {

thread_local SharedTensors* scoped_tensors = nullptr;

// Kept for ever: threads may still be allocating while it changes.
std::vector<std::shared_ptr<SharedTensors>>& ever_shared_everywhere() {
  static auto* const all = new std::vector<std::shared_ptr<SharedTensors>>;
  return *all;
}
std::atomic<SharedTensors*> tensors_everywhere{nullptr};

// Stands before LibTorch's own allocator, which keeps serving everything else.
class SharingAllocator final : public c10::Allocator {
 public:
  explicit SharingAllocator(c10::Allocator* below) : below_(below) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    SharedTensors* tensors = scoped_tensors;
    if (tensors == nullptr) tensors = tensors_everywhere.load(std::memory_order_acquire);
    if (tensors != nullptr) {
      if (c10::DataPtr shared = tensors->take(bytes)) return shared;
    }
    return below_->allocate(bytes);
  }
  // Of either's memory: some kernels take it by raw_allocate().
  c10::DeleterFnPtr raw_deleter() const override { return &SharedTensors::release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    below_->copy_data(to, from, bytes);
  }

  c10::Allocator& below() const { return *below_; }

 private:
  c10::Allocator* const below_;
};

// LibTorch's own, before which the other then stands, to the very end: it is never destroyed.
c10::Allocator& allocator_below() {
  static const SharingAllocator& ours = *[] {
    auto* const made = new SharingAllocator(c10::GetCPUAllocator());
    c10::SetCPUAllocator(made, /*priority=*/255);
    return made;
  }();
  return ours.below();
}

// Eight sizes between powers of two; whole pages.
std::size_t rounded_up(std::size_t bytes) {
  const std::size_t step = std::max<std::size_t>(4096, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

}  // namespace

struct SharedTensors::Lent {
  std::shared_ptr<SharedTensors> tensors;  // shared: a tensor may be the last that needs it
  std::shared_ptr<std::byte> memory;
  std::size_t rounded;
  std::size_t bytes;
};

// By address, of all that is lent: LibTorch gives memory back by nothing else.
struct SharedTensors::Ledger {
  std::mutex mutex;  // guards lent
  std::unordered_map<const void*, Lent> lent;

  static Ledger& one() {
    static auto* const ledger = [] {
      pthread_atfork([] { one().mutex.lock(); }, [] { one().mutex.unlock(); },
                     [] {
                       in_forked_child = true;
                       one().mutex.unlock();
                     });
      return new Ledger;  // tensors may outlive everything
    }();
    return *ledger;
  }
  // A child has the same memory under the same lists: if it took or gave back, the parent's tensors
  // would be overwritten. It makes ordinary ones, and leaves the ledger as it was.
  static inline bool in_forked_child = false;
};

SharedTensors::SharedTensors(Allocate allocate, std::function<bool(std::size_t bytes)> wants)
    : wants_(std::move(wants)), allocate_(std::move(allocate)) {
  allocator_below();
  Ledger::one();
}

c10::DataPtr SharedTensors::take(std::size_t bytes) {
  if (bytes == 0 || Ledger::in_forked_child || !wants_(bytes)) return {};
  const std::size_t rounded = rounded_up(bytes);
  std::shared_ptr<std::byte> memory;
  std::size_t in_use = 0, idle = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!allocate_) return {};
    if (auto& same = idle_[rounded]; !same.empty()) {
      memory = std::move(same.back());
      same.pop_back();
      bytes_idle_ -= rounded;
    } else {
      try {
        memory = allocate_(rounded);
      } catch (const OutOfMemory&) {
        return {};
      }
    }
    in_use = bytes_in_use_ += rounded;
    idle = bytes_idle_;
  }
  std::byte* const data = memory.get();
  {
    const std::lock_guard lock(Ledger::one().mutex);
    Ledger::one().lent[data] = {shared_from_this(), std::move(memory), rounded, bytes};
  }
  c10::reportMemoryUsageToProfiler(data, static_cast<std::int64_t>(bytes), in_use, in_use + idle,
                                   c10::Device(c10::DeviceType::CPU));
  return {data, data, &SharedTensors::release, c10::Device(c10::DeviceType::CPU)};
}

void SharedTensors::release(void* data) {
  Lent lent;
  {
    Ledger& ledger = Ledger::one();
    const std::lock_guard lock(ledger.mutex);
    const auto found = ledger.lent.find(data);
    if (found == ledger.lent.end()) return allocator_below().raw_deleter()(data);
    if (Ledger::in_forked_child) return;
    lent = std::move(found->second);
    ledger.lent.erase(found);
  }
  c10::reportMemoryUsageToProfiler(data, -static_cast<std::int64_t>(lent.bytes),
                                   lent.tensors->bytes_in_use(), 0,
                                   c10::Device(c10::DeviceType::CPU));
  lent.tensors->give_back(lent.rounded, std::move(lent.memory));
}

void SharedTensors::give_back(std::size_t rounded, std::shared_ptr<std::byte> memory) {
  std::map<std::size_t, std::vector<std::shared_ptr<std::byte>>> dropped;  // outside of the lock
  const std::lock_guard lock(mutex_);
  bytes_in_use_ -= rounded;
  if (!allocate_) return;
  idle_[rounded].push_back(std::move(memory));
  bytes_idle_ += rounded;
  most_in_use_ = std::max(most_in_use_, bytes_in_use_ + rounded);
  // What is in use swings by all gradients of a step, so the highest is what to compare with.
  if (bytes_in_use_ + bytes_idle_ <= 2 * most_in_use_) return;
  dropped.swap(idle_);
  bytes_idle_ = 0;
}

void SharedTensors::stop() {
  std::map<std::size_t, std::vector<std::shared_ptr<std::byte>>> dropped;
  const std::lock_guard lock(mutex_);
  allocate_ = nullptr;
  dropped.swap(idle_);
  bytes_idle_ = 0;
}

std::size_t SharedTensors::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return bytes_in_use_;
}

std::size_t SharedTensors::bytes_idle() const {
  const std::lock_guard lock(mutex_);
  return bytes_idle_;
}

SharedTensorsScope::SharedTensorsScope(std::shared_ptr<SharedTensors> tensors)
    : before_(scoped_tensors), tensors_(std::move(tensors)) {
  if (tensors_ != nullptr) scoped_tensors = tensors_.get();
}

SharedTensorsScope::~SharedTensorsScope() { scoped_tensors = before_; }

void share_tensors_everywhere(std::shared_ptr<SharedTensors> tensors) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  tensors_everywhere.store(tensors.get(), std::memory_order_release);
  if (tensors != nullptr) ever_shared_everywhere().push_back(std::move(tensors));
}

}  // namespace shoal

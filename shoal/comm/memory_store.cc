#include <fmt/format.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <variant>

#include "shoal/comm/in_process.h"
#include "shoal/comm/store.h"
#include "shoal/comm/store_limits.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

class MemoryStore final : public Store, public InProcess {
 public:
  void set(const std::string& key, const std::string& value, Deadline) override {
    check_key(key);
    check_value(key, value);
    const std::lock_guard lock(mutex_);
    throw_if_closed();
    values_[key] = value;
    changed_.notify_all();
  }

  std::string get(const std::string& key, Deadline deadline) override {
    check_key(key);
    std::unique_lock lock(mutex_);
    for (;;) {
      throw_if_closed();
      const auto found = values_.find(key);
      if (found != values_.end()) return found->second;
      if (deadline.passed()) {
        throw TimedOut(fmt::format("nobody has set key \"{}\" of the store within {} ms", key,
                                   deadline.waited().count()),
                       {});
      }
      changed_.wait_for(lock, deadline.left());
    }
  }

  std::optional<std::string> look(const std::string& key, Deadline) override {
    check_key(key);
    const std::lock_guard lock(mutex_);
    throw_if_closed();
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return found->second;
  }

  // Counters are kept as decimal text, so that get() shows them as the TCP store does.
  std::int64_t add(const std::string& key, std::int64_t delta, Deadline) override {
    check_key(key);
    const std::lock_guard lock(mutex_);
    throw_if_closed();
    std::string& value = values_[key];
    const std::int64_t sum = (value.empty() ? 0 : std::stoll(value)) + delta;
    value = std::to_string(sum);
    changed_.notify_all();
    return sum;
  }

  std::shared_ptr<void> share(const std::string& key,
                              const std::function<std::shared_ptr<void>()>& make) override {
    const std::lock_guard lock(mutex_);
    throw_if_closed();
    std::weak_ptr<void>& kept = shared_[key];
    std::shared_ptr<void> object = kept.lock();
    if (!object) {
      object = make();
      kept = object;
    }
    return object;
  }

  void close(const std::string& why) override {
    const std::lock_guard lock(mutex_);
    if (!closed_) closed_ = why;
    changed_.notify_all();
  }

 private:
  void throw_if_closed() const {
    if (closed_) throw Cancelled(*closed_);
  }

  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;
  // Weak: an object lives as long as one of its users, not as long as the store.
  std::map<std::string, std::weak_ptr<void>> shared_;
  std::optional<std::string> closed_;
};

}  // namespace

std::shared_ptr<Store> make_memory_store() { return std::make_shared<MemoryStore>(); }

}  // namespace shoal

#include "shoal/tensor/torch_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "shoal/core/error.h"

namespace shoal {
namespace {

class TorchStore final : public Store {
 private:
  // c10d reports a server that is gone as an exception of its own.
  template <typename Call>
  auto guarded(Call call) {
    const std::scoped_lock lock(mutex_);
    try {
      return call();
    } catch (const c10::Error& error) {
      throw PeerLost(
          fmt::format("the store at {} is gone: {}", place_, error.what_without_backtrace()), {});
    }
  }

 public:
  TorchStore(std::string place, c10::intrusive_ptr<c10d::Store> store)
      : place_(std::move(place)), store_(std::move(store)) {}

  void set(const std::string& key, const std::string& value, Deadline) override {
    guarded([&] { store_->set(name(key), value); });
  }

  std::string get(const std::string& key, Deadline deadline) override {
    auto pause = std::chrono::microseconds(200);
    while (true) {
      if (auto value = look(key, deadline)) return *value;
      if (deadline.passed()) {
        throw TimedOut(fmt::format("key '{}' has not come to the store at {} after {} ms", key,
                                   place_, deadline.waited().count()),
                       {});
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(20'000));
    }
  }

  std::optional<std::string> look(const std::string& key, Deadline) override {
    return guarded([&]() -> std::optional<std::string> {
      if (!store_->check({name(key)})) return std::nullopt;
      const std::vector<std::uint8_t> value = store_->get(name(key));
      return std::string(value.begin(), value.end());
    });
  }

  std::int64_t add(const std::string& key, std::int64_t delta, Deadline) override {
    return guarded([&] { return store_->add(name(key), delta); });
  }

 private:
  static std::string name(const std::string& key) { return "shoal/" + key; }

  std::string place_;
  std::mutex mutex_;  // guards store_: one call at a time on its connection
  c10::intrusive_ptr<c10d::Store> store_;
};

}  // namespace

std::shared_ptr<Store> over_torch_store(c10::intrusive_ptr<c10d::Store> store, std::string place) {
  return std::make_shared<TorchStore>(std::move(place), std::move(store));
}

std::shared_ptr<Store> connect_torch_store(const std::string& host, int port, Deadline deadline) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = false;
  options.waitWorkers = false;
  options.timeout = deadline.left();
  const std::string place = fmt::format("{}:{}", host, port);
  try {
    return over_torch_store(c10::make_intrusive<c10d::TCPStore>(host, options), place);
  } catch (const c10::Error& error) {
    throw TimedOut(fmt::format("nobody serves the store at {} after {} ms: {}", place,
                               deadline.waited().count(), error.what_without_backtrace()),
                   {});
  }
}

}  // namespace shoal

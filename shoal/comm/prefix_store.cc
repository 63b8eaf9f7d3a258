#include <utility>

#include "shoal/comm/in_process.h"
#include "shoal/comm/store.h"

namespace shoal {
namespace {

class PrefixStore : public Store {
 public:
  PrefixStore(std::shared_ptr<Store> store, std::string prefix)
      : store_(std::move(store)), prefix_(std::move(prefix)) {}

  void set(const std::string& key, const std::string& value, Deadline deadline) override {
    store_->set(prefix_ + key, value, deadline);
  }
  std::string get(const std::string& key, Deadline deadline) override {
    return store_->get(prefix_ + key, deadline);
  }
  std::optional<std::string> look(const std::string& key, Deadline deadline) override {
    return store_->look(prefix_ + key, deadline);
  }
  std::int64_t add(const std::string& key, std::int64_t delta, Deadline deadline) override {
    return store_->add(prefix_ + key, delta, deadline);
  }
  void set_when_gone(const std::string& key, const std::string& value, Deadline deadline) override {
    store_->set_when_gone(prefix_ + key, value, deadline);
  }
  std::string local_address() const override { return store_->local_address(); }

 protected:
  const std::shared_ptr<Store> store_;  // shared: several prefixes stand on one store
  const std::string prefix_;
};

class InProcessPrefixStore final : public PrefixStore, public InProcess {
 public:
  InProcessPrefixStore(std::shared_ptr<Store> store, std::string prefix, InProcess& below)
      : PrefixStore(std::move(store), std::move(prefix)), below_(below) {}

  std::shared_ptr<void> share(const std::string& key,
                              const std::function<std::shared_ptr<void>()>& make) override {
    return below_.share(prefix_ + key, make);
  }
  void close(const std::string& why) override { below_.close(why); }

 private:
  InProcess& below_;  // another face of store_
};

}  // namespace

std::shared_ptr<Store> with_prefix(std::shared_ptr<Store> store, std::string prefix) {
  if (auto* below = dynamic_cast<InProcess*>(store.get())) {
    return std::make_shared<InProcessPrefixStore>(std::move(store), std::move(prefix), *below);
  }
  return std::make_shared<PrefixStore>(std::move(store), std::move(prefix));
}

}  // namespace shoal

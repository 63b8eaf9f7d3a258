// The world whose workers meet in a store: all worlds are of this kind.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "shoal/comm/choices.h"
#include "shoal/comm/group_registry.h"
#include "shoal/comm/members.h"
#include "shoal/comm/topology.h"
#include "shoal/comm/world.h"

namespace shoal {

class StoreWorld final : public World {
 public:
  StoreWorld(std::shared_ptr<Store> store, Membership me, const CommOptions& options,
             Deadline deadline);
  ~StoreWorld() override;

  int rank() const override { return me_.rank; }
  int size() const override { return me_.size; }
  int local_rank() const override;
  int local_size() const override;
  std::vector<int> hosts() const override;
  Store& store() override { return *store_; }
  const CommOptions& options() const override { return options_; }
  std::string order_of_sums(const std::vector<int>& ranks) const override;
  std::unique_ptr<Group> form_group(const std::string& name, const std::vector<int>& ranks,
                                    Deadline deadline) override;

  // Any thread: every call of every group, now and later, throws Cancelled.
  void abort_groups() { registry_->abort_all(); }

 private:
  void claim_name(const std::string& name);
  Engine engine_for(const std::vector<int>& ranks) const;
  AlgorithmPolicy algorithms_for(const std::vector<int>& ranks, Engine engine) const;
  bool has_two_networks(Engine engine) const;
  bool some_share_a_host(const std::vector<int>& ranks) const;
  NetworkLayout layout_of(const std::vector<int>& ranks) const;

  const std::shared_ptr<Store> store_;  // shared with its other users
  const Membership me_;
  const CommOptions options_;
  const std::optional<Topology> topology_;  // of all ranks of the world
  const ChoiceTable choices_;
  // Shared with the groups, which may outlive the world.
  const std::shared_ptr<Members> members_;
  const std::shared_ptr<GroupRegistry> registry_;
  std::mutex mutex_;  // guards names_
  std::set<std::string> names_;
};

}  // namespace shoal

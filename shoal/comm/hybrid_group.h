// Two channels between the same ranks, used at once: two networks, say, of rates B and R B.
//
// An all-reduce gives each channel a part of the vector such that both end together: 1/(1+R) to the
// slow one and R/(1+R) to the fast one, shifted by what a call costs whatever its size. Then S
// bytes take S/(B (1+R)) where the fast channel alone takes S/(R B). (Blink, MLSys 2020, section 4,
// does so with PCIe and NVLink.) All other operations go over the first channel alone.
#pragma once

#include <array>
#include <memory>

#include "shoal/comm/async_group.h"
#include "shoal/comm/failure.h"
#include "shoal/comm/group.h"
#include "shoal/comm/group_registry.h"
#include "shoal/comm/parts.h"

namespace shoal {

// What an all-reduce over one channel takes: fixed_seconds + bytes / bytes_per_second.
struct ChannelCost {
  double fixed_seconds = 0;
  double bytes_per_second = 1;  // of vector
  friend bool operator==(const ChannelCost&, const ChannelCost&) = default;
};

// The part, from 0 to 1, of a vector of `bytes` that the first channel takes.
double share_of_first(const ChannelCost& first, const ChannelCost& second, double bytes);

class HybridGroup final : public Group {
 public:
  // Both groups have the same ranks in the same order. Until costs are known, half goes over each.
  // The registry may be null.
  HybridGroup(std::unique_ptr<Group> first, std::unique_ptr<Group> second,
              std::shared_ptr<GroupRegistry> registry);
  ~HybridGroup() override;

  // Times all-reduces over both channels at once, up to 100 ms each or 16 MiB; keeps what the
  // slowest rank found. Called by all ranks; returns when all have come.
  void measure(Deadline deadline);
  // The same on every rank.
  void set_costs(const ChannelCost& first, const ChannelCost& second) { costs_ = {first, second}; }
  const std::array<ChannelCost, 2>& costs() const { return costs_; }
  // Of the last all_reduce, by channel; 0 for one that had nothing to do.
  const std::array<double, 2>& last_seconds() const { return last_seconds_; }

  int rank() const override { return first_->rank(); }
  int size() const override { return first_->size(); }
  const std::string& name() const override { return first_->name(); }
  std::string_view engine() const override { return "hybrid"; }

  void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) override;
  void broadcast(Buffer data, int root, Deadline deadline) override;
  void all_gather(ConstBuffer in, Buffer out, Deadline deadline) override;
  void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) override;
  void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;
  void send(ConstBuffer data, int to, Deadline deadline) override;
  void receive(Buffer data, int from, Deadline deadline) override;
  bool has_message(int from) override;
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override;
  bool shares_memory() const override { return first_->shares_memory(); }
  void abort() override;
  std::uint64_t bytes_sent() const override;
  std::uint64_t bytes_between_hosts() const override;

 protected:
  void transfer(const Call& call, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                Deadline deadline) override;

 private:
  // The first, unless an all_reduce has failed.
  Group& channel() const {
    spent_.rethrow_if_set();
    return *first_;
  }
  using Split = std::array<std::vector<Buffer>, 2>;
  std::array<double, 2> time_both(const std::array<std::size_t, 2>& bytes, Deadline deadline);
  Split split(const Parts& parts) const;
  void reduce_both(const Split& halves, ReduceOp op, Deadline deadline);

  const std::unique_ptr<Group> first_;
  AsyncGroup second_;
  Spent spent_;
  // Of the thread that makes collectives.
  std::array<ChannelCost, 2> costs_;
  std::array<double, 2> last_seconds_{};
  Registered registered_;  // last: see Registered
};

}  // namespace shoal

// Ranks that reach each other through TCP: a full mesh of connections, driven by the caller's
// thread. Where ranks share a host and a region ("hierarchical"), their frames go through it.
//
// all_reduce, two_shot: every rank sends slice q of its input to rank q, which adds in the order of
// ranks and sends the sum to all. Cost: 2 steps, 2 (n-1)/n S per rank; small ones (kSmallBytes over
// all peers) go to everybody at once: 1 step, (n-1) S. The bits are those of the shared engines.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/frame_exchanges.h"
#include "shoal/comm/frame_links.h"
#include "shoal/comm/frame_messages.h"
#include "shoal/comm/group.h"
#include "shoal/comm/group_registry.h"
#include "shoal/comm/parts.h"
#include "shoal/comm/schedule_run.h"

namespace shoal {

class FrameGroup final : public Group {
 public:
  static constexpr std::size_t kSmallBytes = std::size_t{32} << 10;

  FrameGroup(FrameGroupSpec spec, std::shared_ptr<GroupRegistry> registry);
  ~FrameGroup() override;

  int rank() const override { return spec_.rank; }
  int size() const override { return spec_.size; }
  const std::string& name() const override { return spec_.name; }
  std::string_view engine() const override { return spec_.engine; }

  void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) override;
  void broadcast(Buffer data, int root, Deadline deadline) override;
  void all_gather(ConstBuffer in, Buffer out, Deadline deadline) override;
  void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) override;
  void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;
  void send(ConstBuffer data, int to, Deadline deadline) override;
  void receive(Buffer data, int from, Deadline deadline) override;
  bool has_message(int from) override;
  void abort() override;
  std::uint64_t bytes_sent() const override;
  std::uint64_t bytes_between_hosts() const override;

 protected:
  void transfer(const Call& call, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                Deadline deadline) override;

 private:
  FrameRound round(const Call& call, Deadline deadline);
  void meet(FrameRound& round);  // an exchange of nothing, so that everybody's call is compared
  void reduce_small(FrameRound& round, const Parts& in, std::byte* out);
  void run_frames(FrameRound& round, FrameRun& run, const Meeting& meeting);
  void run_schedule(FrameRound& round, FrameRun& run, Algorithm algorithm);
  // A schedule that sums nothing, or of nothing.
  void hand_out(FrameRound& round, const RankSchedule& schedule, const Parts& parts,
                const Meeting& meeting);

  const FrameGroupSpec spec_;
  FrameStanding standing_;
  FrameMessages messages_;
  FrameLinks links_;
  // Of the thread that makes collectives.
  std::uint64_t calls_ = 0;
  std::vector<std::byte> scratch_;
  GroupSchedules schedules_;
  const Meeting nobody_;
  const Meeting everybody_;

  std::atomic<std::uint64_t> message_bytes_{0};
  std::atomic<std::uint64_t> message_bytes_between_hosts_{0};
  Registered registered_;  // last: see Registered
};

}  // namespace shoal

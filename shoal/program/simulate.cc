#include "shoal/program/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "shoal/core/error.h"
#include "shoal/program/processor_sharing.h"
#include "shoal/program/timing.h"

namespace shoal {
namespace {

constexpr int kPrivate = ProcessorSharing::kPrivate;

// The machine's resources, numbered, and what each operation takes of them.
class MachineCosts {
 public:
  MachineCosts(int workers, const std::vector<BlockFacts>& blocks, const Machine& machine)
      : blocks_(blocks), machine_(machine) {
    workers_per_host_ =
        machine.link_bytes_per_second > 0 ? machine.workers_per_host : std::max(1, workers);
    hosts_ = (workers + workers_per_host_ - 1) / workers_per_host_;
    capacities_.assign(static_cast<std::size_t>(hosts_) * machine.cores_per_host, 1.0);
    memory_ = add_resources(hosts_, machine.memory_bytes_per_second);
    const double link = std::max(1.0, machine.link_bytes_per_second);  // unused on one host
    egress_ = add_resources(hosts_, link);
    ingress_ = add_resources(hosts_, link);
    local_ = add_resources(workers, machine.local_bytes_per_second);
  }

  const std::vector<double>& capacities() const { return capacities_; }
  Cost of(const Program& program, int index) const;

 private:
  int add_resources(int count, double capacity) {
    const auto first = static_cast<int>(capacities_.size());
    capacities_.insert(capacities_.end(), count, capacity);
    return first;
  }
  int host_of(int rank) const { return rank / workers_per_host_; }
  int core_of(int rank) const {
    return host_of(rank) * machine_.cores_per_host +
           rank % workers_per_host_ % machine_.cores_per_host;
  }
  const BlockFacts& block(const Op& op) const { return blocks_.at(op.block); }

  Cost of_block(const WorkFacts& work, const Program& program, const Op& op,
                std::size_t sums) const;
  Cost of_message(int from, const Op& op) const;
  Cost of_collective(int rank, const Op& op, const GroupFacts& group) const;
  Cost of_load(const Program& program, const Op& op) const;
  Cost of_update(int rank, const Op& op) const;
  Phase inside_host(int rank, double bytes) const;
  Cost of_core(int rank, double seconds) const { return {{{core_of(rank), seconds}}}; }

  const std::vector<BlockFacts>& blocks_;
  const Machine& machine_;
  int workers_per_host_ = 1;
  int hosts_ = 1;
  std::vector<double> capacities_;
  int memory_ = 0;  // first index of each kind; cores begin at 0
  int egress_ = 0;
  int ingress_ = 0;
  int local_ = 0;
};

// Its `sums` over the batch are small: what they cost is waiting for each other, once a sum.
Cost MachineCosts::of_block(const WorkFacts& work, const Program& program, const Op& op,
                            std::size_t sums) const {
  const std::int64_t samples = program.micro_batch_samples;
  Cost cost{{{core_of(program.rank), std::max(0.0, work.core.at(samples))}},
            {{kPrivate, std::max(0.0, work.wait.at(samples))}}};
  if (op.group < 0 || program.groups[op.group].ranks.size() < 2) return cost;
  for (std::size_t i = 0; i < sums; ++i) {
    Op one = op;
    one.bytes = op.bytes / static_cast<std::int64_t>(sums);
    for (Phase& phase : of_collective(program.rank, one, program.groups[op.group])) {
      cost.push_back(std::move(phase));
    }
  }
  return cost;
}

Phase MachineCosts::inside_host(int rank, double bytes) const {
  return {{local_ + rank, bytes},
          {memory_ + host_of(rank), 2 * bytes},  // read here, written there
          {core_of(rank), bytes * machine_.reduce_core_seconds_per_byte}};
}

Cost MachineCosts::of_message(int from, const Op& op) const {
  const auto bytes = static_cast<double>(op.bytes);
  if (host_of(from) == host_of(op.peer)) {
    return {inside_host(from, bytes), {{kPrivate, machine_.local_latency_seconds}}};
  }
  return {{{egress_ + host_of(from), bytes}, {ingress_ + host_of(op.peer), bytes}},
          {{kPrivate, machine_.link_latency_seconds}}};
}

Cost MachineCosts::of_collective(int rank, const Op& op, const GroupFacts& group) const {
  const auto members = static_cast<double>(group.ranks.size());
  const auto here =
      static_cast<double>(std::count_if(group.ranks.begin(), group.ranks.end(), [&](int member) {
        return host_of(member) == host_of(rank);
      }));
  const double to_each = 2.0 / members * static_cast<double>(op.bytes);
  const double over_link = to_each * (members - here);
  const double latency =
      here < members ? machine_.link_latency_seconds : machine_.local_latency_seconds;
  Phase moving = inside_host(rank, to_each * (here - 1));
  moving.push_back({egress_ + host_of(rank), over_link});
  moving.push_back({ingress_ + host_of(rank), over_link});
  moving.push_back({core_of(rank), over_link * machine_.reduce_core_seconds_per_byte});
  return {{{kPrivate, 2 * latency}}, moving};
}

Cost MachineCosts::of_load(const Program& program, const Op& op) const {
  const int micro_batches = op.micro_batch >= 0 ? 1 : program.micro_batches;
  const auto samples = static_cast<double>(program.micro_batch_samples) * micro_batches;
  return of_core(program.rank, samples * machine_.load_core_seconds_per_sample);
}

Cost MachineCosts::of_update(int rank, const Op& op) const {
  double bytes = 0;
  for (const auto* uses : {&op.writes, &op.accumulates}) {
    for (const Use& use : *uses) {
      if (use.value.kind != ValueKind::parameter) continue;
      const auto& parameters = blocks_.at(use.value.block).parameters;
      bytes += static_cast<double>(parameters.at(use.value.index).bytes());
    }
  }
  return of_core(rank, bytes * machine_.update_core_seconds_per_byte);
}

Cost MachineCosts::of(const Program& program, int index) const {
  const Op& op = program.ops[index];
  switch (op.kind) {
    case OpKind::load:
      return of_load(program, op);
    case OpKind::forward:
      return of_block(block(op).forward, program, op, block(op).forward_sums.size());
    case OpKind::backward:
      return of_block(block(op).backward, program, op, block(op).backward_sums.size());
    case OpKind::send:
      return of_message(program.rank, op);
    case OpKind::all_reduce:
    case OpKind::agree:
      if (op.group < 0 || program.groups[op.group].ranks.size() < 2) return {};
      return of_collective(program.rank, op, program.groups[op.group]);
    case OpKind::update:
      return of_update(program.rank, op);
    case OpKind::loss:
    case OpKind::receive:
      return {};
  }
  return {};
}

// What would be an index out of range later.
std::vector<std::string> problems_of(const RankPrograms& programs,
                                     const std::vector<BlockFacts>& blocks) {
  std::vector<std::string> faults;
  for (int rank = 0; rank < std::ssize(programs); ++rank) {
    const Program& program = programs[rank];
    if (program.rank != rank) {
      faults.push_back(fmt::format("program {} is that of rank {}: give the programs by rank", rank,
                                   program.rank));
    }
    for (int i = 0; i < std::ssize(program.ops); ++i) {
      const Op& op = program.ops[i];
      const auto refuse = [&](std::string_view what, int number) {
        faults.push_back(fmt::format("rank {}, operation {} {} names {} {}, which is not there",
                                     rank, i, text_of(op, program.micro_batches), what, number));
      };
      const bool has_block = op.kind == OpKind::forward || op.kind == OpKind::backward;
      if (has_block && (op.block < 0 || op.block >= std::ssize(blocks))) refuse("block", op.block);
      if (op.group < -1 || op.group >= std::ssize(program.groups)) refuse("group", op.group);
      const bool has_peer = op.kind == OpKind::send || op.kind == OpKind::receive;
      if (has_peer && (op.peer < 0 || op.peer >= std::ssize(programs))) refuse("rank", op.peer);
    }
  }
  return faults;
}

}  // namespace

std::vector<std::string> Machine::problems() const {
  std::vector<std::string> faults;
  const auto at_least = [&](const char* name, double value, double least) {
    if (std::isfinite(value) && value >= least) return;
    faults.push_back(fmt::format("{} is {}: give {} or more", name, value, least));
  };
  const auto above_zero = [&](const char* name, double value) {
    if (std::isfinite(value) && value > 0) return;
    faults.push_back(fmt::format("{} is {}: give a number above 0", name, value));
  };
  at_least("cores_per_host", cores_per_host, 1);
  at_least("workers_per_host", workers_per_host, 1);
  above_zero("memory_bytes_per_second", memory_bytes_per_second);
  at_least("link_bytes_per_second", link_bytes_per_second, 0);
  at_least("link_latency_seconds", link_latency_seconds, 0);
  above_zero("local_bytes_per_second", local_bytes_per_second);
  at_least("local_latency_seconds", local_latency_seconds, 0);
  at_least("reduce_core_seconds_per_byte", reduce_core_seconds_per_byte, 0);
  at_least("update_core_seconds_per_byte", update_core_seconds_per_byte, 0);
  at_least("load_core_seconds_per_sample", load_core_seconds_per_sample, 0);
  return faults;
}

Timeline simulate(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                  const Machine& machine) {
  auto faults = machine.problems();
  for (auto& fault : problems_of(programs, blocks)) faults.push_back(std::move(fault));
  require_none(std::move(faults));
  const MachineCosts costs(static_cast<int>(programs.size()), blocks, machine);
  return time_programs(
      programs, {.capacities = costs.capacities(),
                 .cost_of = [&](const Program& program, int i) { return costs.of(program, i); },
                 .communication_thread = machine.communication_thread});
}

}  // namespace shoal

// Data parallelism: a gradient is summed over the ranks that saw other samples, bucket by bucket,
// while Backward goes on.
//   before   ... B2 B1 B0 Agree Update
//   after    ... B2 B1 AllReduce(2,1) B0 AllReduce(0) Agree Update
// Update is not touched: it reads what AllReduce writes, and an op waits for what it reads.
// Source: Li et al., PyTorch Distributed, VLDB 2020, section 3.2 (bucketing, overlap).
#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

using Axes = std::vector<std::string>;

// The axes that a tensor's gradient (or a buffer) is summed over, for all tensors of the chain:
// the same on every rank, so found once.
struct SummedAxes {
  SummedAxes(const std::vector<BlockFacts>& blocks, const Plan& plan) {
    const auto axes_of = [&](const std::vector<ParameterFacts>& tensors) {
      std::vector<Axes> all;
      for (const ParameterFacts& tensor : tensors) {
        all.push_back(plan.layout.gradient_axes(tensor.dims, plan.mesh));
      }
      return all;
    };
    for (const BlockFacts& block : blocks) {
      parameters.push_back(axes_of(block.parameters));
      buffers.push_back(axes_of(block.buffers));
    }
  }
  std::vector<std::vector<Axes>> parameters;  // by block and index
  std::vector<std::vector<Axes>> buffers;
};

// One rank's list, rewritten.
class Reducer {
 public:
  Reducer(const std::vector<BlockFacts>& blocks, const Plan& plan, const SummedAxes& axes,
          Program program)
      : blocks_(blocks),
        plan_(plan),
        axes_(axes),
        make_(blocks, ProgramKind::train, program.micro_batch_samples),
        program_(std::move(program)) {}

  Program rewritten() {
    std::vector<Op> before = std::exchange(program_.ops, {});
    find_last_additions(before);
    for (int i = 0; i < std::ssize(before); ++i) {
      const OpKind kind = before[i].kind;
      if (kind == OpKind::agree) {
        for (auto& [key, bucket] : open_) close(key, bucket);
        average_buffers();
      }
      // Another stage waits for what is sent; nobody waits for a bucket yet.
      if (kind != OpKind::send) add_closed();
      program_.ops.push_back(std::move(before[i]));
      if (kind == OpKind::backward) add_completed(i);
    }
    return std::move(program_);
  }

 private:
  using Key = std::pair<int, ElementType>;  // group; a collective has one element type
  struct Bucket {
    std::vector<Value> values;
    std::int64_t bytes = 0;
  };

  // Micro-batches add to a gradient; only the last addition completes it.
  void find_last_additions(const std::vector<Op>& ops) {
    for (int i = 0; i < std::ssize(ops); ++i) {
      if (ops[i].kind != OpKind::backward) continue;
      for (const Use& use : ops[i].accumulates) last_addition_[use.value] = i;
    }
  }

  void add_completed(int index) {
    const std::vector<Use> gradients = program_.ops.back().accumulates;
    for (const Use& use : gradients) {
      const Value& gradient = use.value;
      if (last_addition_.at(gradient) != index) continue;
      const Axes& axes = axes_.parameters[gradient.block][gradient.index];
      if (axes.empty()) continue;
      const ParameterFacts& parameter = blocks_[gradient.block].parameters[gradient.index];
      const Key key{group_of(axes), parameter.type};
      Bucket& bucket = open_[key];
      bucket.values.push_back(gradient);
      bucket.bytes += parameter.bytes();
      if (bucket.bytes >= plan_.data_parallel.bucket_bytes) close(key, bucket);
    }
  }

  void close(const Key& key, Bucket& bucket) {
    if (bucket.values.empty()) return;
    closed_.push_back(make_.all_reduce(bucket.values, key.first));
    bucket = {};
  }

  void add_closed() {
    for (Op& op : closed_) program_.ops.push_back(std::move(op));
    closed_.clear();
  }

  // Running statistics: the executor divides the sum by the group's size.
  void average_buffers() {
    std::map<Key, Bucket> buckets;
    for (const int block : program_.blocks()) {
      for (int i = 0; i < std::ssize(blocks_[block].buffers); ++i) {
        const ParameterFacts& buffer = blocks_[block].buffers[i];
        const Axes& axes = axes_.buffers[block][i];
        if (axes.empty() || !is_averaged(buffer)) continue;
        buckets[{group_of(axes), buffer.type}].values.push_back({ValueKind::buffer, block, -1, i});
      }
    }
    for (auto& [key, bucket] : buckets) close(key, bucket);
  }

  int group_of(const Axes& axes) {
    const auto found = groups_.find(axes);
    if (found != groups_.end()) return found->second;
    const int group = program_.group_index(
        {plan_.mesh.group_name(axes, program_.rank), plan_.mesh.ranks_along(axes, program_.rank)});
    return groups_[axes] = group;
  }

  const std::vector<BlockFacts>& blocks_;
  const Plan& plan_;
  const SummedAxes& axes_;
  OpMaker make_;
  Program program_;
  std::unordered_map<Value, int, ValueHash> last_addition_;
  std::map<Axes, int> groups_;
  std::map<Key, Bucket> open_;
  std::vector<Op> closed_;  // reductions on their way into the list
};

}  // namespace

RankPrograms data_parallel(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                           const Plan& plan) {
  const SummedAxes axes(blocks, plan);
  for (Program& program : programs) {
    if (program.trains) program = Reducer(blocks, plan, axes, std::move(program)).rewritten();
  }
  return programs;
}

}  // namespace shoal

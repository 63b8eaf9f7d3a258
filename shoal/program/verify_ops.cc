// Part 1 of the verifier: operations taken alone.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "shoal/program/passes/passes.h"
#include "shoal/program/verify_parts.h"

namespace shoal {
namespace {

class OpCheck {
 public:
  OpCheck(const Program& program, const VerifyContext& context)
      : program_(program),
        context_(context),
        stage_(context.plan.mesh.coordinate(program.rank, "pipe")),
        own_(context.own(stage_)),
        peers_(context.plan.mesh.ranks_along({"pipe"}, program.rank)) {}

  std::vector<std::string> faults() {
    check_header();
    for (int i = 0; i < std::ssize(program_.ops); ++i) {
      const std::string fault = fault_of(program_.ops[i]);
      if (!fault.empty()) faults_.push_back(place_of(program_, i) + ": " + fault);
    }
    return std::move(faults_);
  }

 private:
  bool trains() const { return context_.kind == ProgramKind::train; }

  void check_header() {
    const auto expect = [&](std::string_view name, std::int64_t is, std::int64_t should) {
      if (is == should) return;
      faults_.push_back(
          fmt::format("rank {}: {} is {}, but the plan has {}", program_.rank, name, is, should));
    };
    expect("stage", program_.stage, stage_);
    expect("micro_batches", program_.micro_batches, context_.micro_batches);
    expect("micro_batch_samples", program_.micro_batch_samples, context_.micro_batch_samples);
    expect("trains", program_.trains, trains());
  }

  // Empty when the operation is what its kind means.
  std::string fault_of(const Op& op) const {
    if (!trains() && is_training_only(op.kind)) return "only a training program has this operation";
    switch (op.kind) {
      case OpKind::load:
        return difference(op, context_.make.load(context_.micro_batches));
      case OpKind::forward:
        return forward_fault(op);
      case OpKind::loss:
        return loss_fault(op);
      case OpKind::backward:
        return backward_fault(op);
      case OpKind::send:
      case OpKind::receive:
        return transfer_fault(op);
      case OpKind::all_reduce:
        return all_reduce_fault(op);
      case OpKind::agree:
        return agree_fault(op);
      case OpKind::update:
        return difference(op, context_.make.update(own_));
    }
    return fmt::format("{} is not a kind of operation", static_cast<int>(op.kind));
  }

  static bool is_training_only(OpKind kind) {
    return kind == OpKind::backward || kind == OpKind::all_reduce || kind == OpKind::agree ||
           kind == OpKind::update;
  }

  std::string block_fault(const Op& op) const {
    if (op.micro_batch < 0 || op.micro_batch >= context_.micro_batches) {
      return fmt::format("there is no micro-batch {}: the program has {}", op.micro_batch,
                         context_.micro_batches);
    }
    if (op.kind != OpKind::loss && !own_.holds(op.block)) {
      return fmt::format("block {} is not this rank's: stage {} has blocks {} to {}", op.block,
                         stage_, own_.first, own_.end - 1);
    }
    return "";
  }

  std::string forward_fault(const Op& op) const {
    const bool evaluates = op.mode == ForwardMode::evaluate;
    if (evaluates == trains()) {
      return fmt::format("forward in mode {} in a program that {}", name_of(op.mode),
                         trains() ? "trains" : "does not train");
    }
    std::string fault = block_fault(op);
    if (!fault.empty()) return fault;
    return block_difference(op, context_.make.forward(op.block, op.micro_batch, op.mode));
  }

  std::string loss_fault(const Op& op) const {
    if (context_.kind == ProgramKind::predict) return "a program that predicts has no loss";
    if (!own_.holds(context_.last_block())) {
      return fmt::format("the loss belongs to the last stage, and this rank is in stage {}",
                         stage_);
    }
    const std::string fault = block_fault(op);
    return fault.empty() ? difference(op, context_.make.loss(op.micro_batch)) : fault;
  }

  std::string backward_fault(const Op& op) const {
    std::string fault = block_fault(op);
    if (!fault.empty()) return fault;
    if (op.block < context_.make.lowest_trainable()) {
      return fmt::format("the lowest trainable block is {}: nothing below needs a backward",
                         context_.make.lowest_trainable());
    }
    return block_difference(op, context_.make.backward(op.block, op.micro_batch));
  }

  // `should` lacks what its block sums over the batch.
  std::string block_difference(const Op& op, Op should) const {
    const GroupFacts group = batch_sum_group(context_.plan, program_.rank);
    if (!group.ranks.empty() && !context_.make.batch_sums(should).empty()) {
      if (op.group < 0 || op.group >= std::ssize(program_.groups)) {
        return fmt::format("its block sums over the batch, and there is no group {}", op.group);
      }
      if (program_.groups[op.group] != group) {
        return fmt::format("its block sums over group {} instead of group {}",
                           program_.groups[op.group].name, group.name);
      }
      context_.make.add_batch_sums(should, op.group);
    }
    return difference(op, should);
  }

  // The rank of this pipeline that holds the block.
  int owner_of(int block) const {
    const auto after = std::upper_bound(context_.starts.begin(), context_.starts.end(), block);
    return peers_[after - context_.starts.begin() - 1];
  }

  std::string transfer_fault(const Op& op) const {
    const bool sends = op.kind == OpKind::send;
    const std::vector<Use>& uses = sends ? op.reads : op.writes;
    if (uses.size() != 1) return fmt::format("carries {} values instead of one", uses.size());
    const Value& value = uses.front().value;
    const bool activation = value.kind == ValueKind::activation;
    if (!activation && value.kind != ValueKind::activation_gradient) {
      return fmt::format("carries {}: only activations and their gradients travel",
                         text_of(value, context_.micro_batches));
    }
    const int border = value.block;  // the value lives between this block and the next
    const bool crosses = border >= 0 && border < context_.last_block() && value.micro_batch >= 0 &&
                         value.micro_batch < context_.micro_batches;
    if (!crosses || owner_of(border) == owner_of(border + 1)) {
      return fmt::format("{} does not pass from one stage to another",
                         text_of(value, context_.micro_batches));
    }
    if (!activation && border < context_.make.lowest_trainable()) {
      return fmt::format("no gradient is needed below block {}", context_.make.lowest_trainable());
    }
    const int lower = owner_of(border), upper = owner_of(border + 1);
    const int from = activation ? lower : upper, to = activation ? upper : lower;
    const int self = sends ? from : to, peer = sends ? to : from;
    if (program_.rank != self || op.peer != peer) {
      return fmt::format("{} goes from rank {} to rank {}", text_of(value, context_.micro_batches),
                         from, to);
    }
    return difference(op,
                      sends ? context_.make.send(value, peer) : context_.make.receive(value, peer));
  }

  std::string group_fault(const Op& op, const std::vector<std::string>& axes, bool world) const {
    if (op.group < 0 || op.group >= std::ssize(program_.groups)) {
      return fmt::format("there is no group {}: the program has {}", op.group,
                         program_.groups.size());
    }
    const GroupFacts& group = program_.groups[op.group];
    const Mesh& mesh = context_.plan.mesh;
    const std::string name = world ? "world" : mesh.group_name(axes, program_.rank);
    if (group.name != name) {
      return fmt::format("runs in group {} instead of group {}", group.name, name);
    }
    bool same = world ? std::ssize(group.ranks) == mesh.size()
                      : group.ranks == mesh.ranks_along(axes, program_.rank);
    for (int rank = 0; world && same && rank < mesh.size(); ++rank) {
      same = group.ranks[rank] == rank;
    }
    return same ? "" : fmt::format("group {} does not have the ranks that the mesh gives", name);
  }

  std::string agree_fault(const Op& op) const {
    const std::string fault = group_fault(op, {}, true);
    return fault.empty() ? difference(op, context_.make.agree(own_, op.group)) : fault;
  }

  // The tensor that a gradient or buffer belongs to, when it is one to be reduced here.
  const ParameterFacts* reduced_tensor(const Value& value) const {
    if (!own_.holds(value.block) || value.micro_batch != -1) return nullptr;
    const BlockFacts& block = context_.blocks[value.block];
    const bool buffer = value.kind == ValueKind::buffer;
    if (!buffer && value.kind != ValueKind::gradient) return nullptr;
    const auto& tensors = buffer ? block.buffers : block.parameters;
    if (value.index < 0 || value.index >= std::ssize(tensors)) return nullptr;
    const ParameterFacts& tensor = tensors[value.index];
    return (buffer ? is_averaged(tensor) : tensor.trainable) ? &tensor : nullptr;
  }

  const std::vector<std::string>& axes_of(const Value& value) const {
    const auto& axes =
        value.kind == ValueKind::buffer ? context_.buffer_axes : context_.gradient_axes;
    return axes[value.block][value.index];
  }

  std::string all_reduce_fault(const Op& op) const {
    if (op.accumulates.empty()) return "reduces nothing";
    std::vector<Value> values;
    std::set<Value> seen;
    const Value& first = op.accumulates.front().value;
    for (const Use& use : op.accumulates) {
      const std::string name = text_of(use.value, context_.micro_batches);
      const ParameterFacts* tensor = reduced_tensor(use.value);
      if (tensor == nullptr) return fmt::format("{} is not this rank's to be reduced", name);
      if (!seen.insert(use.value).second) return fmt::format("reduces {} twice", name);
      if (use.value.kind != first.kind || tensor->type != reduced_tensor(first)->type) {
        return fmt::format("{} is of another kind or type than the values before it", name);
      }
      if (axes_of(use.value).empty()) return fmt::format("{} is complete on each rank", name);
      if (axes_of(use.value) != axes_of(first)) {
        return fmt::format("{} is summed over another group than the values before it", name);
      }
      values.push_back(use.value);
    }
    const std::string fault = group_fault(op, axes_of(first), false);
    return fault.empty() ? difference(op, context_.make.all_reduce(values, op.group)) : fault;
  }

  std::string use_difference(std::string_view what, const std::vector<Use>& is,
                             const std::vector<Use>& should) const {
    const auto name = [&](const std::vector<Use>& uses, std::size_t i) {
      return i < uses.size() ? text_of(uses[i].value, context_.micro_batches) : "nothing more";
    };
    for (std::size_t i = 0; i < std::max(is.size(), should.size()); ++i) {
      if (i < is.size() && i < should.size() && is[i].value == should[i].value) continue;
      return fmt::format("{} {} where it has to {} {}", what, name(is, i),
                         what.substr(0, what.size() - 1), name(should, i));
    }
    return "";
  }

  std::string difference(const Op& is, const Op& should) const {
    const auto differs = [](std::string_view name, std::int64_t a, std::int64_t b) {
      return fmt::format("{} is {} instead of {}", name, a, b);
    };
    for (const std::string& fault :
         {use_difference("reads", is.reads, should.reads),
          use_difference("writes", is.writes, should.writes),
          use_difference("adds to", is.accumulates, should.accumulates)}) {
      if (!fault.empty()) return fault;
    }
    if (is.bytes != should.bytes) return differs("bytes", is.bytes, should.bytes);
    if (is.type != should.type) {
      return fmt::format("sends {} instead of {}", name_of(is.type), name_of(should.type));
    }
    if (is.block != should.block) return differs("block", is.block, should.block);
    if (is.micro_batch != should.micro_batch) {
      return differs("micro_batch", is.micro_batch, should.micro_batch);
    }
    if (is.peer != should.peer) return differs("peer", is.peer, should.peer);
    if (is.group != should.group) return differs("group", is.group, should.group);
    if (is.mode != should.mode) return fmt::format("has mode {}", name_of(is.mode));
    return "";
  }

  const Program& program_;
  const VerifyContext& context_;
  int stage_;
  BlockRange own_;
  std::vector<int> peers_;  // the ranks of this pipeline, by stage
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> op_faults(const Program& program, const VerifyContext& context) {
  return OpCheck(program, context).faults();
}

}  // namespace shoal

#include "shoal/program/op_maker.h"

#include <algorithm>

namespace shoal {
namespace {

Use use(ValueKind kind, int block, int micro_batch, int index) {
  return {.value = {kind, block, micro_batch, index}};
}

ElementType transfer_type(const BlockFacts& block, bool gradient) {
  for (const ActivationFacts& output : block.outputs) {
    if (output.differentiable || !gradient) return output.type;
  }
  return ElementType::float32;
}

}  // namespace

int lowest_trainable(const std::vector<BlockFacts>& blocks) {
  const auto found = std::find_if(blocks.begin(), blocks.end(),
                                  [](const BlockFacts& block) { return block.trainable(); });
  return static_cast<int>(found - blocks.begin());
}

std::vector<int> gradients_in_order(const BlockFacts& block) {
  std::vector<int> order;
  const auto add = [&](int index) {
    if (index < 0 || index >= std::ssize(block.parameters)) return;
    if (!block.parameters[index].trainable) return;
    if (std::find(order.begin(), order.end(), index) == order.end()) order.push_back(index);
  };
  for (const int index : block.gradient_order) add(index);
  // What no record mentions (its gradient stays zero) comes last.
  for (int index = 0; index < std::ssize(block.parameters); ++index) add(index);
  return order;
}

bool is_averaged(const ParameterFacts& buffer) {
  switch (buffer.type) {
    case ElementType::float32:
    case ElementType::float64:
    case ElementType::float16:
    case ElementType::bfloat16:
      return true;
    case ElementType::int8:
    case ElementType::int16:
    case ElementType::int32:
    case ElementType::int64:
    case ElementType::uint8:
    case ElementType::boolean:
      return false;
  }
  return false;
}

OpMaker::OpMaker(const std::vector<BlockFacts>& blocks, ProgramKind kind, std::int64_t samples)
    : blocks_(blocks),
      kind_(kind),
      sizes_{.micro_batch_samples = samples},
      lowest_(shoal::lowest_trainable(blocks)) {}

Value OpMaker::input_of(int block, int micro_batch) const {
  if (block == 0) return {ValueKind::batch, -1, micro_batch, -1};
  return {ValueKind::activation, block - 1, micro_batch, -1};
}

Op OpMaker::load(int micro_batches) const {
  Op op{.kind = OpKind::load};
  for (int m = 0; m < micro_batches; ++m) op.writes.push_back(use(ValueKind::batch, -1, m, -1));
  return op;
}

Op OpMaker::forward(int block, int micro_batch, ForwardMode mode) const {
  Op op{.kind = OpKind::forward, .block = block, .micro_batch = micro_batch, .mode = mode};
  const BlockFacts& facts = blocks_[block];
  op.reads.push_back({.value = input_of(block, micro_batch)});
  for (int i = 0; i < std::ssize(facts.parameters); ++i) {
    op.reads.push_back(use(ValueKind::parameter, block, -1, i));
  }
  const bool updates_buffers = mode == ForwardMode::train || mode == ForwardMode::no_save;
  std::vector<Use>& buffer_uses = updates_buffers ? op.accumulates : op.reads;
  for (int i = 0; i < std::ssize(facts.buffers); ++i) {
    buffer_uses.push_back(use(ValueKind::buffer, block, -1, i));
  }
  op.writes.push_back(use(ValueKind::activation, block, micro_batch, -1));
  if (mode == ForwardMode::train || mode == ForwardMode::recompute) {
    op.writes.push_back(use(ValueKind::saved, block, micro_batch, -1));
  }
  return op;
}

Op OpMaker::loss(int micro_batch) const {
  Op op{.kind = OpKind::loss, .micro_batch = micro_batch};
  op.reads.push_back(use(ValueKind::activation, last_block(), micro_batch, -1));
  op.reads.push_back(use(ValueKind::batch, -1, micro_batch, -1));
  op.accumulates.push_back(use(ValueKind::loss, -1, -1, -1));
  if (kind_ == ProgramKind::train && lowest_ <= last_block()) {
    op.writes.push_back(use(ValueKind::activation_gradient, last_block(), micro_batch, -1));
  }
  return op;
}

Op OpMaker::backward(int block, int micro_batch) const {
  Op op{.kind = OpKind::backward, .block = block, .micro_batch = micro_batch};
  const BlockFacts& facts = blocks_[block];
  op.reads.push_back(use(ValueKind::activation_gradient, block, micro_batch, -1));
  op.reads.push_back(use(ValueKind::saved, block, micro_batch, -1));
  op.reads.push_back({.value = input_of(block, micro_batch)});
  for (int i = 0; i < std::ssize(facts.parameters); ++i) {
    op.reads.push_back(use(ValueKind::parameter, block, -1, i));
  }
  for (const int i : gradients_in_order(facts)) {
    op.accumulates.push_back(use(ValueKind::gradient, block, -1, i));
  }
  if (block > lowest_) {
    op.writes.push_back(use(ValueKind::activation_gradient, block - 1, micro_batch, -1));
  }
  return op;
}

void OpMaker::set_transfer(Op& op, const Value& value, int peer) const {
  op.peer = peer;
  op.bytes = bytes_of(value, sizes_, blocks_);
  op.type = transfer_type(blocks_[value.block], value.kind == ValueKind::activation_gradient);
}

Op OpMaker::send(const Value& value, int peer) const {
  Op op{.kind = OpKind::send, .reads = {{.value = value}}};
  set_transfer(op, value, peer);
  return op;
}

Op OpMaker::receive(const Value& value, int peer) const {
  Op op{.kind = OpKind::receive, .writes = {{.value = value}}};
  set_transfer(op, value, peer);
  return op;
}

Op OpMaker::all_reduce(const std::vector<Value>& values, int group) const {
  Op op{.kind = OpKind::all_reduce, .group = group};
  for (const Value& value : values) {
    op.bytes += bytes_of(value, sizes_, blocks_);
    op.accumulates.push_back({.value = value});
  }
  if (!values.empty()) {
    const BlockFacts& block = blocks_[values.front().block];
    const auto& tensors =
        values.front().kind == ValueKind::buffer ? block.buffers : block.parameters;
    op.type = tensors[values.front().index].type;
  }
  return op;
}

const std::vector<BatchSumFacts>& OpMaker::batch_sums(const Op& op) const {
  static const std::vector<BatchSumFacts> none;
  const bool forward = op.kind == OpKind::forward;
  if (!forward && op.kind != OpKind::backward) return none;
  if (forward && op.mode == ForwardMode::evaluate) return none;
  const BlockFacts& block = blocks_[op.block];
  return forward ? block.forward_sums : block.backward_sums;
}

void OpMaker::add_batch_sums(Op& op, int group) const {
  const std::vector<BatchSumFacts>& sums = batch_sums(op);
  if (sums.empty()) return;
  op.group = group;
  op.type = sums.front().type;
  for (const BatchSumFacts& sum : sums) op.bytes += sum.bytes();
}

std::vector<Use> OpMaker::gradients(BlockRange own) const {
  std::vector<Use> uses;
  for (int block = own.first; block < own.end; ++block) {
    for (int i = 0; i < std::ssize(blocks_[block].parameters); ++i) {
      if (!blocks_[block].parameters[i].trainable) continue;
      uses.push_back(use(ValueKind::gradient, block, -1, i));
    }
  }
  return uses;
}

Op OpMaker::agree(BlockRange own, int group) const {
  Op op{.kind = OpKind::agree, .group = group, .bytes = kAgreeBytes, .type = ElementType::float64};
  op.reads = gradients(own);
  if (own.holds(last_block())) {
    op.reads.insert(op.reads.begin(), use(ValueKind::loss, -1, -1, -1));
  }
  op.writes.push_back(use(ValueKind::agreed, -1, -1, -1));
  return op;
}

Op OpMaker::update(BlockRange own) const {
  Op op{.kind = OpKind::update, .reads = gradients(own)};
  for (const Use& gradient : op.reads) {
    Use parameter = gradient;
    parameter.value.kind = ValueKind::parameter;
    op.accumulates.push_back(parameter);
  }
  for (const Use& gradient : op.reads) {
    Use state = gradient;
    state.value.kind = ValueKind::optimizer_state;
    op.accumulates.push_back(state);
  }
  op.reads.insert(op.reads.begin(), use(ValueKind::agreed, -1, -1, -1));
  return op;
}

}  // namespace shoal

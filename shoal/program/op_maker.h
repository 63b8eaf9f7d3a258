// Makes the operations of a chain. The one place that says what each kind of operation reads,
// writes and adds to, and how many bytes it sends: passes make operations here, and the verifier
// holds every program against it.
#pragma once

#include <cstdint>
#include <vector>

#include "shoal/program/facts.h"
#include "shoal/program/op.h"
#include "shoal/program/program.h"

namespace shoal {

// Blocks [first, end) of the chain: those of one worker.
struct BlockRange {
  int first = 0;
  int end = 0;
  bool holds(int block) const { return first <= block && block < end; }
  friend bool operator==(const BlockRange&, const BlockRange&) = default;
};

// The lowest block with a trainable parameter; the number of blocks when there is none. Blocks from
// here on have a Backward; only those above it hand a gradient down.
int lowest_trainable(const std::vector<BlockFacts>& blocks);

// The trainable parameters of a block in the order in which its Backward completes their gradients.
std::vector<int> gradients_in_order(const BlockFacts& block);

// Whether running statistics of this type are averaged over workers; counters and masks are equal
// everywhere by themselves.
bool is_averaged(const ParameterFacts& buffer);

// Borrows the facts. Indices are not checked. Versions are left 0: number_versions fills them in.
class OpMaker {
 public:
  // `samples`: of the largest micro-batch.
  OpMaker(const std::vector<BlockFacts>& blocks, ProgramKind kind, std::int64_t samples);

  Op load(int micro_batches) const;
  Op forward(int block, int micro_batch, ForwardMode mode) const;
  // In training, when there is a Backward, also writes the gradient of the last activation.
  Op loss(int micro_batch) const;
  Op backward(int block, int micro_batch) const;
  // `value`: an activation or its gradient.
  Op send(const Value& value, int peer) const;
  Op receive(const Value& value, int peer) const;
  // `values`: gradients or buffers of one element type.
  Op all_reduce(const std::vector<Value>& values, int group) const;
  // Gives a forward or backward what its block sums over the batch: group, bytes and type. Does
  // nothing where the block makes no sum.
  void add_batch_sums(Op& op, int group) const;
  // What the block of a forward or backward sums while it runs.
  const std::vector<BatchSumFacts>& batch_sums(const Op& op) const;
  // Agree reads the loss where the last block is, and all gradients of the worker.
  Op agree(BlockRange own, int group) const;
  Op update(BlockRange own) const;

  int lowest_trainable() const { return lowest_; }

 private:
  int last_block() const { return static_cast<int>(blocks_.size()) - 1; }
  Value input_of(int block, int micro_batch) const;
  std::vector<Use> gradients(BlockRange own) const;
  void set_transfer(Op& op, const Value& value, int peer) const;

  const std::vector<BlockFacts>& blocks_;
  ProgramKind kind_;
  Program sizes_;  // carries what bytes_of asks for
  int lowest_;
};

}  // namespace shoal

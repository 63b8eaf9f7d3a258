// Pipeline: each worker of axis "pipe" keeps the blocks of its stage; the batch passes through the
// stages in micro-batches. With one stage, gradients are accumulated over the micro-batches.
//   before    Load F0 F1 Loss B1 B0 Agree Update
//   stage 0   Load F0.0 Send(A0.0>1) F0.1 Send(A0.1>1) Receive(G0.0<1) B0.0 Receive(G0.1<1) B0.1
//   ... stage 1   Load Receive(A0.0<0) F1.0 Loss.0 Receive(A0.1<0) F1.1 Loss.1 B1.0 Send(G0.0>0)
//   ...
// Source: Huang et al., GPipe, NeurIPS 2019, section 2.
#include <algorithm>

#include "shoal/program/compile.h"
#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

// A stage's work on one micro-batch: all forwards of its blocks, or all backwards.
struct Slot {
  bool forward;
  int micro_batch;
};

// Every schedule takes the backwards in the order of the micro-batches: gradients are then added in
// one order, and have the same bits under every schedule.
std::vector<Slot> vanilla(int micro_batches) {
  std::vector<Slot> slots;
  for (int m = 0; m < micro_batches; ++m) {
    slots.push_back({true, m});
    slots.push_back({false, m});
  }
  return slots;
}

std::vector<Slot> gpipe(int micro_batches) {
  std::vector<Slot> slots;
  for (int m = 0; m < micro_batches; ++m) slots.push_back({true, m});
  for (int m = 0; m < micro_batches; ++m) slots.push_back({false, m});
  return slots;
}

std::vector<Slot> slots_of(const PipelineOptions& options, int stages, int micro_batches) {
  // One stage has nobody to wait for: going back at once keeps one micro-batch's activations only.
  if (stages == 1) return vanilla(micro_batches);
  switch (options.schedule) {
    case PipelineSchedule::vanilla:
      return vanilla(micro_batches);
    case PipelineSchedule::gpipe:
      return gpipe(micro_batches);
  }
  return {};
}

Op for_micro_batch(Op op, int micro_batch) {
  const auto move = [&](int& number) {
    if (number >= 0) number = micro_batch;
  };
  move(op.micro_batch);
  for (auto* uses : {&op.reads, &op.writes, &op.accumulates}) {
    for (Use& use : *uses) move(use.value.micro_batch);
  }
  return op;
}

// One worker's list, cut out of the list of a worker that holds all blocks.
class StageWriter {
 public:
  StageWriter(Program whole, const OpMaker& make, BlockRange own, const std::vector<int>& peers)
      : make_(make), own_(own), peers_(peers), ops_(std::move(whole.ops)), written_(whole) {
    std::erase_if(ops_, [&](const Op& op) { return op.block >= 0 && !own_.holds(op.block); });
    written_.ops.clear();
  }

  Program write(const std::vector<Slot>& slots, int micro_batches) {
    written_.micro_batches = micro_batches;
    add(make_.load(micro_batches));
    for (const Slot& slot : slots) slot.forward ? forward(slot) : backward(slot);
    for (Op& op : ops_) {
      if (op.kind == OpKind::agree || op.kind == OpKind::update) add(own_part(std::move(op)));
    }
    return std::move(written_);
  }

 private:
  bool is_last() const { return written_.stage + 1 == std::ssize(peers_); }
  int next() const { return peers_[written_.stage + 1]; }
  int previous() const { return peers_[written_.stage - 1]; }
  void add(Op op) { written_.ops.push_back(std::move(op)); }

  void forward(const Slot& slot) {
    const auto activation = [&](int block) {
      return Value{ValueKind::activation, block, slot.micro_batch, -1};
    };
    if (own_.first > 0) add(make_.receive(activation(own_.first - 1), previous()));
    copy(OpKind::forward, slot.micro_batch);
    copy(OpKind::loss, slot.micro_batch);
    if (!is_last()) add(make_.send(activation(own_.end - 1), next()));
  }

  void backward(const Slot& slot) {
    const auto gradient = [&](int block) {
      return Value{ValueKind::activation_gradient, block, slot.micro_batch, -1};
    };
    if (!is_last() && own_.end - 1 >= make_.lowest_trainable()) {
      add(make_.receive(gradient(own_.end - 1), next()));
    }
    copy(OpKind::backward, slot.micro_batch);
    if (own_.first - 1 >= make_.lowest_trainable()) {
      add(make_.send(gradient(own_.first - 1), previous()));
    }
  }

  void copy(OpKind kind, int micro_batch) {
    if (kind == OpKind::loss && !is_last()) return;
    for (const Op& op : ops_) {
      if (op.kind == kind) add(for_micro_batch(op, micro_batch));
    }
  }

  // Agree and Update without what other stages hold.
  Op own_part(Op op) const {
    const auto is_others = [&](const Use& use) {
      if (use.value.kind == ValueKind::loss) return !is_last();
      return use.value.block >= 0 && !own_.holds(use.value.block);
    };
    for (auto* uses : {&op.reads, &op.writes, &op.accumulates}) std::erase_if(*uses, is_others);
    return op;
  }

  const OpMaker& make_;
  const BlockRange own_;
  const std::vector<int>& peers_;  // the ranks of this pipeline, by stage
  std::vector<Op> ops_;            // of the own blocks, for micro-batch 0 of 1
  Program written_;
};

ProgramKind kind_of(const Program& program) {
  if (program.trains) return ProgramKind::train;
  const bool has_loss = std::any_of(program.ops.begin(), program.ops.end(),
                                    [](const Op& op) { return op.kind == OpKind::loss; });
  return has_loss ? ProgramKind::evaluate : ProgramKind::predict;
}

}  // namespace

RankPrograms pipeline(RankPrograms programs, const std::vector<BlockFacts>& blocks,
                      const Plan& plan) {
  const int stages = plan.stages();
  const bool trains = programs.front().trains;
  const int micro_batches = trains ? plan.pipeline.micro_batches : 1;
  if (stages == 1 && micro_batches == 1) return programs;

  std::vector<int> bounds = stage_starts(blocks, plan);
  bounds.push_back(static_cast<int>(blocks.size()));
  const std::int64_t samples = trains ? plan.largest_micro_batch() : plan.largest_part();
  const OpMaker make(blocks, kind_of(programs.front()), samples);
  std::vector<Slot> slots = slots_of(plan.pipeline, stages, micro_batches);
  if (!trains) std::erase_if(slots, [](const Slot& slot) { return !slot.forward; });

  for (Program& program : programs) {
    const int stage = plan.mesh.coordinate(program.rank, "pipe");
    const std::vector<int> peers = plan.mesh.ranks_along({"pipe"}, program.rank);
    program.stage = stage;
    program.micro_batch_samples = samples;
    StageWriter writer(std::move(program), make, {bounds[stage], bounds[stage + 1]}, peers);
    program = writer.write(slots, micro_batches);
  }
  return programs;
}

}  // namespace shoal

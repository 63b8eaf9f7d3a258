#include "shoal/execute/step_values.h"

#include "shoal/core/check.h"
#include "shoal/core/partition.h"

namespace shoal {

StepValues::StepValues(const Program& program)
    : micro_batches_(static_cast<std::size_t>(program.micro_batches)) {
  const auto make_slot = [this](const Value& value) {
    if (value.kind == ValueKind::activation || value.kind == ValueKind::activation_gradient) {
      activations_[value];
    } else if (value.kind == ValueKind::saved) {
      saved_[value];
    }
  };
  for (const Op& op : program.ops) {
    for (const Use& use : op.writes) make_slot(use.value);
    for (const Use& use : op.reads) make_slot(use.value);
  }
}

void StepValues::free(const Value& value) {
  switch (value.kind) {
    case ValueKind::activation:
    case ValueKind::activation_gradient:
      activations_.at(value) = {};
      return;
    case ValueKind::saved:
      saved_.at(value) = {};
      return;
    case ValueKind::batch: {  // the ids stay: they count the samples of later operations
      MicroBatch& micro_batch = micro_batches_.at(static_cast<std::size_t>(value.micro_batch));
      micro_batch.inputs = {};
      micro_batch.targets.reset();
      micro_batch.mixed = {};
      return;
    }
    case ValueKind::gradient:  // Update resets them
    case ValueKind::loss:
    case ValueKind::agreed:
    case ValueKind::parameter:
    case ValueKind::buffer:
    case ValueKind::optimizer_state:
      return;
  }
}

void StepValues::clear() {
  for (auto& [value, activations] : activations_) activations = {};
  for (auto& [value, saved] : saved_) saved = {};
  for (auto& micro_batch : micro_batches_) micro_batch = {};
  loss_sum = weight = correct = samples = 0;
  agreed = {};
}

void cut_into_micro_batches(StepBatch batch, StepValues& values) {
  const auto samples = static_cast<std::int64_t>(batch.sample_ids.size());
  check_equal(batch.inputs.size(0), samples, "samples in the inputs");
  for (int i = 0; i < values.micro_batches(); ++i) {
    const Range part = part_of(samples, values.micro_batches(), i);
    const std::int64_t count = part.end - part.begin;
    MicroBatch& micro_batch = values.micro_batch(i);
    micro_batch.inputs = Activations(batch.inputs.narrow(0, part.begin, count));
    if (batch.targets.defined()) {
      micro_batch.targets = batch.targets.narrow(0, part.begin, count);
    }
    if (batch.mixed.defined()) {
      micro_batch.mixed = {.classes = batch.mixed.classes.narrow(0, part.begin, count),
                           .shares = batch.mixed.shares.narrow(0, part.begin, count)};
    }
    micro_batch.sample_ids.assign(batch.sample_ids.begin() + part.begin,
                                  batch.sample_ids.begin() + part.end);
  }
}

}  // namespace shoal

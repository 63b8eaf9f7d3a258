// The tensors behind a program's named values during one run.
#pragma once

#include <map>
#include <vector>

#include "shoal/execute/executor.h"
#include "shoal/model/block.h"
#include "shoal/program/program.h"

namespace shoal {

// What a forward leaves for its backward: the graph hangs between the two.
struct Saved {
  Activations inputs;  // leaves: their .grad is the gradient that flows on
  Activations outputs;
};

struct MicroBatch {
  Activations inputs;
  at::Tensor targets;
  MixedTargets mixed;
  std::vector<std::int64_t> sample_ids;
  std::int64_t samples() const { return static_cast<std::int64_t>(sample_ids.size()); }
};

// All slots exist from the start, so lanes on different threads may use different slots at once.
class StepValues {
 public:
  explicit StepValues(const Program& program);

  Activations& activation(const Value& value) { return activations_.at(value); }
  Saved& saved(const Value& value) { return saved_.at(value); }
  MicroBatch& micro_batch(int index) { return micro_batches_.at(static_cast<std::size_t>(index)); }
  int micro_batches() const { return static_cast<int>(micro_batches_.size()); }
  bool has(const Value& value) const { return activations_.contains(value); }
  void free(const Value& value);
  void clear();  // after a run, however it ended

  // Sums over this worker's samples.
  double loss_sum = 0;
  double weight = 0;
  double correct = 0;
  double samples = 0;
  Agreement agreed;

 private:
  std::map<Value, Activations> activations_;  // activations and their gradients
  std::map<Value, Saved> saved_;
  std::vector<MicroBatch> micro_batches_;
};

// Cuts a rank's part of the batch into micro-batches whose sizes differ by at most one.
void cut_into_micro_batches(StepBatch batch, StepValues& values);

}  // namespace shoal

// What each kind of operation does to tensors.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "shoal/execute/block_sums.h"
#include "shoal/execute/executor.h"
#include "shoal/execute/step_values.h"
#include "shoal/tensor/shared_tensors.h"

namespace shoal {

// One per named program of a rank. run() may be called from several threads for operations of
// different lanes; StepValues keeps their tensors apart.
class OpRunner {
 public:
  struct Parts {
    RankModel& model;
    const Chain& chain;
    const Programs& programs;
    const Program& program;
    std::optional<at::ScalarType> autocast = std::nullopt;
    LossForm loss = {};
    std::function<Group&(int)> group;  // by the program's group index
    Group* point_to_point = nullptr;
    const CommOptions& comm;
  };

  explicit OpRunner(Parts parts);

  // `input` stays valid until the run is over.
  void begin(const RunInput& input);
  void run(const Op& op);
  StepValues& values() { return values_; }

  // Ends a run, also one that failed: nothing of it stays in memory.
  void end();

  // When set, every forward's output is looked at and the first block that is not finite is kept
  // (-1: the batch itself; none: size of the chain).
  bool looks_for_not_finite = false;
  int first_not_finite = 0;

 private:
  void load();
  void forward(const Op& op);
  void loss(const Op& op);
  void backward(const Op& op);
  void send(const Op& op);
  void receive(const Op& op);
  void all_reduce(const Op& op);
  void average_buffers(const Op& op);
  void agree(const Op& op);
  void update(const Op& op);
  void update_moving_averages();

  const Activations& input_of(int block, int micro_batch);
  // Throws InvalidInput naming the block, when it writes its input or LibTorch refuses its input.
  Activations forward_of(int block, const Activations& input, const Context& context);
  at::Tensor empty(const std::vector<std::int64_t>& shape, ElementType type) const;
  Activations empty_outputs(int block) const;
  void look_at(const Activations& activations, int block);
  double squared_norm_of_counted_gradients() const;
  // Where what the block of `op` sums over the batch is added up; null where it sums nothing.
  BatchSums* start_sums(const Op& op);
  void finish_sums(const Op& op);
  Deadline collective_deadline() const;
  at::Tensor gradient_of(const Value& gradient) const;
  std::shared_ptr<SharedTensors> shared_gradients() const;

  Parts parts_;
  const ComputeDevice device_;
  StepValues values_;
  std::set<Value> written_;            // values that some operation of the program writes
  std::map<Value, int> reduced_over_;  // gradient -> group index that sums it
  // Where gradients are made that a group can sum without copies; null where none can.
  std::shared_ptr<SharedTensors> shared_gradients_;
  BlockSums sums_;
  const RunInput* input_ = nullptr;
};

}  // namespace shoal

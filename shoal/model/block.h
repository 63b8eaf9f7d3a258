// A block: the unit that plans distribute. A chain of blocks is a model.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "shoal/model/batch_sums.h"
#include "shoal/program/op.h"

namespace shoal {

// Ordered named tensors between two blocks; the first dimension of each counts samples.
class Activations {
 public:
  Activations() = default;
  explicit Activations(at::Tensor only) { add("x", std::move(only)); }
  void add(std::string name, at::Tensor tensor) {
    all_.emplace_back(std::move(name), std::move(tensor));
  }
  const at::Tensor& at(const std::string& name) const;  // InvalidInput names what there is
  const at::Tensor& only() const;  // InvalidInput when there is not exactly one
  const std::vector<std::pair<std::string, at::Tensor>>& all() const { return all_; }
  std::vector<std::pair<std::string, at::Tensor>>& all() { return all_; }
  bool empty() const { return all_.empty(); }

 private:
  std::vector<std::pair<std::string, at::Tensor>> all_;
};

// What a forward is told beside its input.
struct Context {
  ForwardMode mode = ForwardMode::train;
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  int micro_batch = 0;
  // Index in the data set of each sample: what stateless randomness is keyed by. Size: samples.
  const std::vector<std::int64_t>* sample_ids = nullptr;
  // For what needs all samples of the batch; null where this rank has them all, and in evaluation.
  // May be kept until the forward's backward is over.
  BatchSums* batch_sums = nullptr;

  bool training() const { return mode != ForwardMode::evaluate; }
  bool updates_statistics() const {
    return mode == ForwardMode::train || mode == ForwardMode::no_save;
  }
};

struct Waits {
  double forward = 0;
  double backward = 0;
};

// A module with a name per dimension of its parameters. A block does not write its input (the
// executor checks), keeps no state between calls but parameters and buffers, and draws random
// numbers from RandomStream(context.seed, full name, context.step, sample id) only.
class Block : public torch::nn::Module {
 public:
  virtual Activations forward(const Activations& input, const Context& context) = 0;
  // Names of the dimensions of a parameter or buffer, "" where there is none.
  virtual std::vector<std::string> dims_of(const std::string& parameter) const;
  // True when forward draws from the process-wide generator: such a block is exact under no plan
  // that repeats or moves its forward. The recorder finds it out too, by watching the generator.
  virtual bool draws_random_numbers() const { return false; }
  // Sets the values of new parameters and buffers from (seed, "<block_name>.<tensor>") only; called
  // without gradients. Matrices and kernels uniform in +-1/sqrt(inputs of a unit), vectors named
  // "weight" 1, all else 0, unless the block knows better.
  virtual void initialise(std::uint64_t seed, const std::string& block_name);
  // Seconds that forward and backward sleep, whatever the number of samples.
  virtual Waits waits() const { return {}; }
};

// "" for every dimension of the parameter or buffer `tensor`; InvalidInput when there is none.
std::vector<std::string> unnamed_dims(const torch::nn::Module& module, const std::string& tensor);

}  // namespace shoal

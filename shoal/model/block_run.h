// One forward and backward of a single block on made-up samples, watched: what the recorder sees.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <optional>
#include <vector>

#include "shoal/model/block.h"
#include "shoal/model/chain.h"
#include "shoal/program/facts.h"
#include "shoal/tensor/memory_account.h"

namespace shoal {

// Bytes of one run on a number of samples.
struct RunBytes {
  double saved = 0;
  double workspace = 0;
};

struct RunSeconds {
  double forward = 0;
  double backward = 0;
};

class NoteSums;  // notes what it is asked to sum

// Owns the block. One thread; runs under a MemoryAccountScope of its own.
class BlockRun {
 public:
  BlockRun(std::shared_ptr<Block> block, std::string name, std::vector<ActivationFacts> inputs,
           std::optional<at::ScalarType> autocast);
  ~BlockRun();

  // Forward and backward on `samples` samples, into gradients that exist already, as in a step.
  RunBytes run(std::int64_t samples);
  // Least seconds of a core over some repetitions; sleeping does not count.
  RunSeconds time(std::int64_t samples);

  const Block& block() const { return *block_; }
  // What the last run summed over the batch.
  const std::vector<BatchSumFacts>& forward_sums() const { return forward_sums_; }
  const std::vector<BatchSumFacts>& backward_sums() const { return backward_sums_; }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const std::vector<ActivationFacts>& outputs() const { return outputs_; }
  // Indices into the parameters among tensors(), as the last run completed their gradients; those
  // that it did not reach come last.
  std::vector<int> gradient_order() const;

 private:
  Activations inputs_of(std::int64_t samples) const;
  Context context_of(const std::vector<std::int64_t>& ids);
  void note_outputs(const Activations& outputs, std::int64_t samples);
  void watch_gradients();

  std::shared_ptr<MemoryAccount> account_;  // shared with what reports to it
  MemoryAccountScope scope_;
  std::shared_ptr<Block> block_;
  std::string name_;
  std::vector<ActivationFacts> inputs_;
  std::optional<at::ScalarType> autocast_;
  std::vector<NamedTensor> tensors_;
  std::vector<at::Tensor> parameters_;
  std::vector<ActivationFacts> outputs_;
  std::vector<BatchSumFacts> forward_sums_, backward_sums_;
  std::unique_ptr<NoteSums> sums_;
  std::shared_ptr<std::vector<int>> completed_;  // shared with the hooks in the parameters
};

}  // namespace shoal

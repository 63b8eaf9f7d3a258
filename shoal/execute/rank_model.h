// The part of a model that one rank holds: its blocks, their parameters, buffers and optimizer
// states.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/model/chain.h"
#include "shoal/optim/optimizer.h"
#include "shoal/program/program.h"
#include "shoal/tensor/compute_device.h"

namespace shoal {

struct RankModelOptions {
  std::uint64_t seed = 0;
  at::ScalarType type = at::kFloat;  // of parameters: float32 or float64
  OptimizerOptions optimizer;
  ComputeDevice device = {};                       // where parameters and states lie
  std::optional<double> ema_decay = std::nullopt;  // keeps a moving average of trained parameters
};

// A tensor that outlives a step.
struct HeldTensor {
  std::string name;  // "0.conv.weight"; states "0.conv.weight#momentum", "0.conv.weight#average"
  std::string role;  // "parameter", "buffer", "optimizer", "average"
  at::Tensor tensor;
  int block = 0;
};

// One thread at a time.
class RankModel {
 public:
  // A parameter that `train` updates, with its optimizer's states.
  struct Trained {
    Value value;  // kind parameter
    at::Tensor parameter;
    std::vector<at::Tensor> states;
    bool decays = true;  // weight decay, see OptimizerOptions
    at::Tensor average;  // only with ema_decay
  };

  // Builds the blocks that any of the rank's programs runs. Parameters that no Update of the
  // program "train" names are frozen: no gradient, no state.
  RankModel(const Chain& chain, const Programs& programs, int rank,
            const RankModelOptions& options);

  Block& block(int index);
  at::Tensor parameter(const Value& value) const;  // kind parameter or gradient: block and index
  at::Tensor buffer(const Value& value) const;
  std::vector<at::Tensor> buffers() const;  // of all blocks, in a fixed order
  std::vector<Trained>& trained() { return trained_; }
  const OptimizerOptions& optimizer() const { return options_.optimizer; }
  const RankModelOptions& options() const { return options_; }

  // The average takes the place of each trained parameter and the other way round, without a copy;
  // twice is nothing. Throws BrokenInvariant without ema_decay.
  void swap_averages();

  // Everything persistent, ordered by block and name.
  std::vector<HeldTensor> held() const;

  // Updates applied since the start of training (steps that were skipped do not count).
  std::int64_t update_count = 0;

 private:
  void freeze_all_but(const Program& train, const Programs& programs);
  std::map<int, std::shared_ptr<Block>> blocks_;
  std::map<int, std::string> names_;
  std::map<std::pair<int, int>, at::Tensor> parameters_;  // (block, index in the facts)
  std::map<std::pair<int, int>, at::Tensor> buffers_;
  std::vector<Trained> trained_;
  RankModelOptions options_;
};

}  // namespace shoal

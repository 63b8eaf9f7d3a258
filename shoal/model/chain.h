// A model as an ordered list of block factories: a rank builds only its own blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/model/block.h"
#include "shoal/program/facts.h"

namespace shoal {

struct BlockFactory {
  std::string name;  // unique in the chain: "0.conv"
  std::string kind;  // equal kinds with equal input shapes have equal facts
  // Builds the block in the process-wide default type, parameters uninitialised or not: the chain
  // sets initial values by name afterwards unless `initialises_itself`.
  std::function<std::shared_ptr<Block>()> build;
  bool initialises_itself =
      false;  // a user's module: built under a lock, generator seeded by (seed, name)
};

// What the loss compares the last block's output with.
enum class LossKind : std::uint8_t {
  cross_entropy,  // output: logits [n, classes]; targets: class indices; weight: samples
  mean_squared,   // output [n, k] or [n]; targets float of that shape; weight: samples, summed over
                  // k
};

// Of samples that are mixtures of two: the other one's class, and the share of the sample's own.
// Both undefined where nothing is mixed.
struct MixedTargets {
  at::Tensor classes;  // [samples] class indices
  at::Tensor shares;   // [samples] numbers of 0 to 1

  bool defined() const { return shares.defined(); }
};

struct LossSums {
  at::Tensor loss;           // scalar: sum over samples, differentiable
  double weight = 0;         // samples
  std::int64_t correct = 0;  // argmax equals the target, of mixtures that of the larger share; 0
                             // for regression
};
// Of mixtures, cross_entropy sums share x loss of the own class + (1 - share) x loss of the other
// (Zhang et al., mixup, ICLR 2018, section 3); targets of mean_squared have to be mixed already.
LossSums loss_sums(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                   bool count_correct, const MixedTargets& mixed = {});

class Chain {
 public:
  Chain() = default;
  Chain(std::vector<BlockFactory> blocks, LossKind loss)
      : blocks_(std::move(blocks)), loss_(loss) {}

  const std::vector<BlockFactory>& blocks() const { return blocks_; }
  std::size_t size() const { return blocks_.size(); }
  LossKind loss() const { return loss_; }

  // Builds one block in `type` (float32 or float64) with its initial values, which depend on
  // (seed, parameter name) only. Thread safe.
  std::shared_ptr<Block> build(int index, std::uint64_t seed, at::ScalarType type) const;

 private:
  std::vector<BlockFactory> blocks_;
  LossKind loss_ = LossKind::cross_entropy;
};

// Any torch module with at::Tensor forward(at::Tensor) as a chain of one block; `make` is called
// once per rank. Its own initialisation is kept: the generator is seeded from (seed, block).
template <typename Make>
Chain chain_of_module(std::string name, Make make, LossKind loss = LossKind::cross_entropy);

// Every entry of a Sequential becomes a block by itself.
Chain chain_of_sequential(std::function<torch::nn::Sequential()> make,
                          LossKind loss = LossKind::cross_entropy);

// Loaded, trained and saved under their full names, "<block>.<parameter>", in order of name.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  bool is_buffer = false;
};
std::vector<NamedTensor> named_tensors(const std::string& block_name, const Block& block);

}  // namespace shoal

#include "shoal/model/module_block.h"

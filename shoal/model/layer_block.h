// A block made of layers, one after the other.
#pragma once

#include <memory>

#include "shoal/model/layer_sequence.h"

namespace shoal {

// Takes one activation and gives one, "x". Its tensors are called as those of the sequence.
class LayerBlock final : public Block {
 public:
  explicit LayerBlock(std::shared_ptr<LayerSequence> layers);

  Activations forward(const Activations& input, const Context& context) override;
  void initialise(std::uint64_t seed, const std::string& block_name) override;
  std::vector<std::string> dims_of(const std::string& tensor) const override {
    return layers_->dims_of(tensor);
  }
  Waits waits() const override { return layers_->waits(); }

 private:
  std::shared_ptr<LayerSequence> layers_;  // shared as LibTorch shares modules
};

}  // namespace shoal

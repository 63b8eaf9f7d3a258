// A block made of layers, one after the other.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shoal/model/layer.h"

namespace shoal {

// Takes one activation and gives one, "x". A single layer's tensors keep their names ("weight");
// among several they are called by layer too ("conv.weight", "linear_2.bias").
class LayerBlock final : public Block {
 public:
  explicit LayerBlock(std::vector<std::pair<std::string, std::shared_ptr<Layer>>> layers);

  Activations forward(const Activations& input, const Context& context) override;
  void initialise(std::uint64_t seed, const std::string& block_name) override;
  Waits waits() const override;

 private:
  std::vector<std::pair<std::string, std::shared_ptr<Layer>>> layers_;
};

// Makes the parameters, buffers and submodules of `from` those of `into`, under the same names.
void share_tensors(torch::nn::Module& from, torch::nn::Module& into);

}  // namespace shoal

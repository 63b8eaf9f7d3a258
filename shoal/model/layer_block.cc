#include "shoal/model/layer_block.h"

namespace shoal {

LayerBlock::LayerBlock(std::shared_ptr<LayerSequence> layers) : layers_(std::move(layers)) {
  share_tensors(*layers_, *this);
}

Activations LayerBlock::forward(const Activations& input, const Context& context) {
  return Activations(layers_->forward(input.only(), context, /*may_overwrite=*/false));
}

void LayerBlock::initialise(std::uint64_t seed, const std::string& block_name) {
  layers_->initialise({.seed = seed, .prefix = block_name + "."});
}

}  // namespace shoal

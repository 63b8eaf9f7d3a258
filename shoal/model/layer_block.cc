#include "shoal/model/layer_block.h"

namespace shoal {

LayerBlock::LayerBlock(std::vector<std::pair<std::string, std::shared_ptr<Layer>>> layers)
    : layers_(std::move(layers)) {
  if (layers_.size() == 1) {
    share_tensors(*layers_.front().second, *this);
  } else {
    for (auto& [name, layer] : layers_) register_module(name, layer);
  }
}

Activations LayerBlock::forward(const Activations& input, const Context& context) {
  at::Tensor x = input.only();
  bool own = false;  // x was made in here, and no backward reads it
  for (auto& [name, layer] : layers_) {
    // Writing to a view costs autograd more than a fresh tensor costs.
    at::Tensor next = layer->forward(x, context, own && !x.is_view());
    const bool same = next.is_alias_of(x);
    own = same ? own && layer->output_is_free() : layer->output_is_free();
    x = std::move(next);
  }
  return Activations(std::move(x));
}

void LayerBlock::initialise(std::uint64_t seed, const std::string& block_name) {
  for (auto& [name, layer] : layers_) {
    const std::string of_layer = layers_.size() == 1 ? "" : name + ".";
    layer->initialise({.seed = seed, .prefix = block_name + "." + of_layer});
  }
}

Waits LayerBlock::waits() const {
  Waits sum;
  for (const auto& [name, layer] : layers_) {
    sum.forward += layer->waits().forward;
    sum.backward += layer->waits().backward;
  }
  return sum;
}

void share_tensors(torch::nn::Module& from, torch::nn::Module& into) {
  for (auto& item : from.named_parameters(/*recurse=*/false)) {
    if (!item.value().defined()) continue;
    into.register_parameter(item.key(), item.value(), item.value().requires_grad());
  }
  for (auto& item : from.named_buffers(/*recurse=*/false)) {
    if (item.value().defined()) into.register_buffer(item.key(), item.value());
  }
  for (auto& item : from.named_children()) into.register_module(item.key(), item.value());
}

}  // namespace shoal

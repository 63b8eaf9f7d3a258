#include "shoal/model/layer_sequence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/core/error.h"

namespace shoal {
namespace {

// "conv", and "conv_2" where the sequence has had one already.
std::vector<std::string> names_within(const std::vector<LayerEntry>& entries) {
  std::map<std::string, int> seen;
  std::vector<std::string> names;
  for (const LayerEntry& layer : entries) {
    const int count = ++seen[layer.type.name];
    names.push_back(count == 1 ? layer.type.name : fmt::format("{}_{}", layer.type.name, count));
  }
  return names;
}

}  // namespace

LayerSequence::LayerSequence(std::vector<Named> layers) : layers_(std::move(layers)) {
  if (layers_.size() == 1) {
    share_tensors(*layers_.front().second, *this);
  } else {
    for (auto& [name, layer] : layers_) register_module(name, layer);
  }
}

at::Tensor LayerSequence::forward(const at::Tensor& input, const Context& context,
                                  bool may_overwrite) {
  at::Tensor x = input;
  bool own = may_overwrite;  // x belongs to nobody else, and no backward reads it
  for (auto& [name, layer] : layers_) {
    // Writing to a view costs autograd more than a fresh tensor costs.
    at::Tensor next = layer->forward(x, context, own && !x.is_view());
    const bool same = next.is_alias_of(x);
    own = same ? own && layer->output_is_free() : layer->output_is_free();
    x = std::move(next);
  }
  return x;
}

bool LayerSequence::output_is_free() const {
  return !layers_.empty() && layers_.back().second->output_is_free();
}

void LayerSequence::initialise(const InitialValues& values) {
  for (auto& [name, layer] : layers_) {
    const std::string of_layer = layers_.size() == 1 ? "" : name + ".";
    layer->initialise({.seed = values.seed, .prefix = values.prefix + of_layer});
  }
}

std::vector<std::string> Layer::dims_of(const std::string& tensor) const {
  return unnamed_dims(*this, tensor);
}

std::vector<std::string> LayerSequence::dims_of(const std::string& tensor) const {
  if (layers_.size() == 1) return layers_.front().second->dims_of(tensor);
  for (const auto& [name, layer] : layers_) {
    if (tensor.starts_with(name + ".")) return layer->dims_of(tensor.substr(name.size() + 1));
  }
  return Layer::dims_of(tensor);
}

Waits LayerSequence::waits() const {
  Waits sum;
  for (const auto& [name, layer] : layers_) {
    sum.forward += layer->waits().forward;
    sum.backward += layer->waits().backward;
  }
  return sum;
}

std::shared_ptr<LayerSequence> build_sequence(const std::vector<LayerEntry>& entries,
                                              const Shape& input, const std::string& full_name) {
  const std::vector<std::string> names = names_within(entries);
  std::vector<LayerSequence::Named> layers;
  Shape shape = input;
  for (std::size_t k = 0; k < entries.size(); ++k) {
    const auto& [type, settings] = entries[k];
    const std::string full =
        entries.size() == 1 ? full_name : fmt::format("{}.{}", full_name, names[k]);
    layers.emplace_back(names[k], type.build(settings, shape, full));
    shape = type.output_shape(settings, shape);
  }
  return std::make_shared<LayerSequence>(std::move(layers));
}

Shape shape_after(const std::vector<LayerEntry>& entries, Shape input, const std::string& place,
                  std::string& last) {
  for (const LayerEntry& layer : entries) {
    const std::string here = fmt::format("\"{}\" ({})", layer.type.name, place);
    try {
      input = layer.type.output_shape(layer.settings, input);
    } catch (const InvalidInput& misfit) {
      throw InvalidInput(fmt::format("{} cannot follow {}, which gives [{}] for each sample: {}",
                                     here, last, fmt::join(input, ", "), misfit.what()));
    }
    last = here;
  }
  return input;
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

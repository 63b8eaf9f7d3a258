#include "shoal/model/layer_list.h"

#include <fmt/format.h>

#include "shoal/core/error.h"
#include "shoal/model/layer_block.h"
#include "shoal/model/layer_entry.h"
#include "shoal/model/layer_sequence.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

struct BlockEntry {
  std::string name;  // "0.conv"
  std::string kind;  // the entry as text: equal text, equal layers
  std::vector<LayerEntry> layers;
};

std::vector<BlockEntry> read_blocks(const Json& layers, const std::vector<LayerType>& types,
                                    std::vector<std::string>& faults) {
  if (!layers.is_array() || layers.empty()) {
    faults.push_back("layers is no list of layers: write [\"flatten\", {linear = 10}]");
    return {};
  }
  std::vector<BlockEntry> blocks;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Json& entry = layers[i];
    const std::string place = fmt::format("layers[{}]", i);
    BlockEntry block{.name = {}, .kind = entry.dump(), .layers = {}};
    if (!entry.is_array()) {
      block.layers.push_back(read_layer(entry, place, types, faults));
    } else if (entry.empty()) {
      faults.push_back(place + " is an empty list: a block needs a layer");
    }
    for (std::size_t k = 0; entry.is_array() && k < entry.size(); ++k) {
      block.layers.push_back(read_layer(entry[k], fmt::format("{}[{}]", place, k), types, faults));
    }
    if (!block.layers.empty()) {
      block.name = fmt::format("{}.{}", i, block.layers.front().type.name);
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

BlockFactory factory(const BlockEntry& block, const Shape& input) {
  const auto build = [block, input]() -> std::shared_ptr<Block> {
    return std::make_shared<LayerBlock>(build_sequence(block.layers, input, block.name));
  };
  return {.name = block.name, .kind = block.kind, .build = build};
}

}  // namespace

std::vector<LayerType> layer_types() {
  std::vector<LayerType> all;
  for (const auto& part : {weight_layers(), sequence_layers(), shape_layers(), activation_layers(),
                           norm_layers(), dropout_layers(), residual_layers(), wait_layers()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::vector<std::string> layer_faults(const Json& layers, const std::vector<LayerType>& types) {
  std::vector<std::string> faults;
  read_blocks(layers, types, faults);
  return faults;
}

LayerList layer_list(const Json& layers, const Shape& input, const std::vector<LayerType>& types) {
  std::vector<std::string> faults;
  const std::vector<BlockEntry> blocks = read_blocks(layers, types, faults);
  require_none(faults);
  LayerList list{.blocks = {}, .output = input, .last_layer = "the input"};
  for (const BlockEntry& block : blocks) {
    const Shape input_shape = list.output;
    list.output = shape_after(block.layers, list.output, "block " + block.name, list.last_layer);
    list.blocks.push_back(factory(block, input_shape));
  }
  return list;
}

}  // namespace shoal

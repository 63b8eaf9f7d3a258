// Layers written out in a job file become blocks, once their shapes are known to fit.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/model/chain.h"
#include "shoal/model/layer.h"

namespace shoal {

struct LayerList {
  std::vector<BlockFactory> blocks;
  Shape output;            // of one sample, after the last block
  std::string last_layer;  // "\"linear\" (block 3.linear)", for messages
};

// `types`: the kinds of layers that there are. `layers`: a list; an entry is a name ("relu"), a
// table ({conv = 32, kernel = 3}) or a list of those, which makes one block. Blocks are called
// "<index>.<first layer>". Throws InvalidInput with every fault; shapes are followed up to the
// first that does not fit, and both layers and the shape between them are named.
LayerList layer_list(const nlohmann::json& layers, const Shape& input,
                     const std::vector<LayerType>& types = layer_types());

// Checks entries without shapes; every fault.
std::vector<std::string> layer_faults(const nlohmann::json& layers,
                                      const std::vector<LayerType>& types = layer_types());

}  // namespace shoal

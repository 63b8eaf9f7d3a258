// What the tests of this module share: blocks from a layer list, and running them.
#pragma once

#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "shoal/core/error.h"
#include "shoal/model/chain.h"
#include "shoal/model/layer_list.h"

namespace shoal::testing {

inline std::shared_ptr<Block> block_of(const nlohmann::json& entry, const Shape& input,
                                       at::ScalarType type = at::kDouble, std::uint64_t seed = 7) {
  return Chain(layer_list(nlohmann::json::array({entry}), input).blocks, LossKind::cross_entropy)
      .build(0, seed, type);
}

// Context for samples 0 .. n-1 of step 0; owns the indices.
struct Samples {
  std::vector<std::int64_t> ids;
  Context context;
  explicit Samples(std::int64_t n, ForwardMode mode = ForwardMode::train) : ids(n) {
    std::iota(ids.begin(), ids.end(), 0);
    context.mode = mode;
    context.sample_ids = &ids;
  }
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;
};

inline at::Tensor run(Block& block, const at::Tensor& x, ForwardMode mode = ForwardMode::train) {
  const Samples samples(x.size(0), mode);
  return block.forward(Activations(x), samples.context).only();
}

// The names of a block's tensors; those of buffers are marked.
inline std::vector<std::string> names_of(const Chain& chain, int index) {
  std::vector<std::string> names;
  const auto block = chain.build(index, 0, at::kFloat);
  for (const auto& item : named_tensors(chain.blocks()[index].name, *block)) {
    names.push_back(item.name + (item.is_buffer ? " (buffer)" : ""));
  }
  return names;
}

// Elements of all parameters.
inline std::int64_t parameters(const Chain& chain) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const auto block = chain.build(static_cast<int>(i), 1, at::kFloat);
    for (const auto& parameter : block->parameters()) sum += parameter.numel();
  }
  return sum;
}

inline at::Tensor tensor_of(const Block& block, const std::string& name) {
  for (const auto& item : named_tensors("b", block)) {
    if (item.name == "b." + name) return item.tensor;
  }
  throw InvalidInput("the block has no tensor " + name);
}

template <typename Act>
std::string refusal(const Act& act) {
  try {
    act();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace shoal::testing

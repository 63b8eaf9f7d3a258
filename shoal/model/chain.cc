#include "shoal/model/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/tensor/torch_errors.h"

namespace shoal {
namespace {

void convert(Block& block, at::ScalarType type) {
  const auto set = [type](const at::Tensor& tensor) {
    if (tensor.defined() && tensor.is_floating_point() && tensor.scalar_type() != type) {
      tensor.set_data(tensor.detach().to(type));
    }
  };
  for (const at::Tensor& parameter : block.parameters()) set(parameter);
  for (const at::Tensor& buffer : block.buffers()) set(buffer);
}

void lay_out_kernels(Block& block, at::MemoryFormat format) {
  if (format == at::MemoryFormat::Contiguous) return;
  for (at::Tensor& parameter : block.parameters()) {
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(format));
  }
}

std::shared_ptr<Block> built(const BlockFactory& factory) {
  std::shared_ptr<Block> block = factory.build();
  if (!block) {
    throw InvalidInput(fmt::format("block {}: its `build` gives no block", factory.name));
  }
  return block;
}

}  // namespace

std::shared_ptr<Block> Chain::build(int index, std::uint64_t seed, at::ScalarType type) const {
  check(index >= 0 && index < static_cast<int>(blocks_.size()), "block index is in the chain");
  if (type != at::kFloat && type != at::kDouble) {
    throw InvalidInput(
        fmt::format("parameters of type {}: use float32 or float64", c10::toString(type)));
  }
  const BlockFactory& factory = blocks_[static_cast<std::size_t>(index)];
  try {
    if (factory.initialises_itself) {
      GeneratorScope generator;
      generator.seed(seed, factory.name);
      auto block = built(factory);
      convert(*block, type);
      return block;
    }
    auto block = built(factory);
    convert(*block, type);
    const torch::NoGradGuard no_grad;
    block->initialise(seed, factory.name);
    lay_out_kernels(*block, kernel_format_);
    return block;
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw out_of_memory(error, "block " + factory.name);
    throw InvalidInput(
        fmt::format("block {} cannot be built: {}", factory.name, error.what_without_backtrace()));
  }
}

std::vector<NamedTensor> named_tensors(const std::string& block_name, const Block& block) {
  std::vector<NamedTensor> all;
  for (const auto& item : block.named_parameters()) {
    if (item.value().defined()) all.push_back({block_name + "." + item.key(), item.value(), false});
  }
  for (const auto& item : block.named_buffers()) {
    if (item.value().defined()) all.push_back({block_name + "." + item.key(), item.value(), true});
  }
  std::sort(all.begin(), all.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  // A tensor that a module uses in two places counts once, under its first name.
  std::set<const void*> seen;
  std::erase_if(all, [&seen](const NamedTensor& item) {
    return !seen.insert(item.tensor.unsafeGetTensorImpl()).second;
  });
  return all;
}

}  // namespace shoal

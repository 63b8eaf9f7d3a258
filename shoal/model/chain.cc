#include "shoal/model/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/tensor/torch_errors.h"

namespace shoal {
namespace {

void convert(Block& block, at::ScalarType type) {
  const auto set = [type](at::Tensor tensor) {
    if (tensor.defined() && tensor.is_floating_point() && tensor.scalar_type() != type) {
      tensor.set_data(tensor.detach().to(type));
    }
  };
  for (const at::Tensor& parameter : block.parameters()) set(parameter);
  for (const at::Tensor& buffer : block.buffers()) set(buffer);
}

// Of each class that `labels` names. No label is ignored: the data has been checked to hold
// 0 .. classes - 1 only.
at::Tensor class_losses(const at::Tensor& output, const at::Tensor& labels,
                        at::Reduction::Reduction sum) {
  constexpr std::int64_t kIgnoreNone = std::numeric_limits<std::int64_t>::min();
  return at::cross_entropy_loss(output, labels, {}, sum, kIgnoreNone);
}

LossSums cross_entropy(at::Tensor output, const at::Tensor& targets, bool count_correct,
                       const MixedTargets& mixed) {
  if (output.dim() != 2 || targets.dim() != 1 || targets.size(0) != output.size(0)) {
    throw InvalidInput(
        fmt::format("cross_entropy takes [samples, classes] and [samples], not [{}] and [{}]",
                    fmt::join(output.sizes(), ", "), fmt::join(targets.sizes(), ", ")));
  }
  LossSums sums;
  at::Tensor labels = targets.to(at::kLong);
  if (mixed.defined()) {
    const at::Tensor others = mixed.classes.to(at::kLong);
    const at::Tensor shares = mixed.shares.to(output.scalar_type());
    sums.loss = (shares * class_losses(output, labels, at::Reduction::None) +
                 (1 - shares) * class_losses(output, others, at::Reduction::None))
                    .sum();
    labels = at::where(shares >= 0.5, labels, others);
  } else {
    sums.loss = class_losses(output, labels, at::Reduction::Sum);
  }
  sums.weight = static_cast<double>(output.size(0));
  if (count_correct && output.size(0) > 0) {
    sums.correct = output.detach().argmax(1).eq(labels).sum().item<std::int64_t>();
  }
  return sums;
}

LossSums mean_squared(const at::Tensor& output, const at::Tensor& targets) {
  if (output.dim() < 1 || targets.dim() < 1 || output.size(0) != targets.size(0) ||
      output.numel() != targets.numel()) {
    throw InvalidInput(
        fmt::format("mean_squared takes targets of the output's shape, not [{}] and [{}]",
                    fmt::join(output.sizes(), ", "), fmt::join(targets.sizes(), ", ")));
  }
  LossSums sums;
  const at::Tensor wanted = targets.to(output.scalar_type()).reshape(output.sizes());
  sums.loss = at::mse_loss(output, wanted, at::Reduction::Sum);
  sums.weight = static_cast<double>(output.size(0));
  return sums;
}

}  // namespace

LossSums loss_sums(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                   bool count_correct, const MixedTargets& mixed) {
  // Sums over a batch need more than the 8 bits of bfloat16.
  const bool is_half = output.scalar_type() == at::kBFloat16 || output.scalar_type() == at::kHalf;
  const at::Tensor exact = is_half ? output.to(at::kFloat) : output;
  switch (kind) {
    case LossKind::cross_entropy:
      return cross_entropy(exact, targets, count_correct, mixed);
    case LossKind::mean_squared:
      if (mixed.defined()) {
        throw InvalidInput(
            "mean_squared takes no mixtures of classes: set [augment] mixup = 0, or another "
            "[model] "
            "loss");
      }
      return mean_squared(exact, targets);
  }
  broken_invariant("unknown LossKind", std::source_location::current());
}

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
      auto block = factory.build();
      convert(*block, type);
      return block;
    }
    auto block = factory.build();
    convert(*block, type);
    const torch::NoGradGuard no_grad;
    block->initialise(seed, factory.name);
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

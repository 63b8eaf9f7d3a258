#include "shoal/model/loss.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

LossSums cross_entropy(const at::Tensor& output, const at::Tensor& targets, bool count_correct,
                       const LossForm& form) {
  if (output.dim() != 2 || targets.dim() != 1 || targets.size(0) != output.size(0)) {
    throw InvalidInput(
        fmt::format("cross_entropy takes [samples, classes] and [samples], not [{}] and [{}]",
                    fmt::join(output.sizes(), ", "), fmt::join(targets.sizes(), ", ")));
  }
  LossSums sums;
  const at::Tensor labels = targets.to(at::kLong);
  // No label is ignored: the data has been checked to hold 0 .. classes - 1 only.
  constexpr std::int64_t kIgnoreNone = std::numeric_limits<std::int64_t>::min();
  std::optional<at::Tensor> weights;
  sums.weight = static_cast<double>(output.size(0));
  if (!form.class_weights.empty()) {
    check_equal(static_cast<std::int64_t>(form.class_weights.size()), output.size(1),
                "one weight a class");
    const at::Tensor exact = at::tensor(form.class_weights, at::kDouble);
    sums.weight = exact.index_select(0, labels).sum().item<double>();
    weights = exact.to(output.scalar_type());
  }
  sums.loss = at::cross_entropy_loss(output, labels, weights, at::Reduction::Sum, kIgnoreNone,
                                     form.label_smoothing);
  if (count_correct && output.size(0) > 0) {
    sums.correct = output.detach().argmax(1).eq(labels).sum().item<std::int64_t>();
  }
  return sums;
}

const char* name_of(LossKind kind) {
  switch (kind) {
    case LossKind::cross_entropy:
      return "cross_entropy";
    case LossKind::mean_squared:
      return "mean_squared";
    case LossKind::mean_absolute:
      return "mean_absolute";
    case LossKind::huber:
      return "huber";
  }
  return "?";
}

LossSums of_numbers(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                    const LossForm& form) {
  if (output.dim() < 1 || targets.dim() < 1 || output.size(0) != targets.size(0) ||
      output.numel() != targets.numel()) {
    throw InvalidInput(fmt::format("{} takes targets of the output's shape, not [{}] and [{}]",
                                   name_of(kind), fmt::join(output.sizes(), ", "),
                                   fmt::join(targets.sizes(), ", ")));
  }
  const at::Tensor wanted = targets.to(output.scalar_type()).reshape(output.sizes());
  LossSums sums;
  if (kind == LossKind::mean_squared) {
    sums.loss = at::mse_loss(output, wanted, at::Reduction::Sum);
  } else if (kind == LossKind::mean_absolute) {
    sums.loss = at::l1_loss(output, wanted, at::Reduction::Sum);
  } else {
    sums.loss = at::huber_loss(output, wanted, at::Reduction::Sum, form.huber_delta);
  }
  sums.weight = static_cast<double>(output.size(0));
  return sums;
}

}  // namespace

LossSums loss_sums(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                   bool count_correct, const LossForm& form) {
  // Sums over a batch need more than the 8 bits of bfloat16.
  const bool is_half = output.scalar_type() == at::kBFloat16 || output.scalar_type() == at::kHalf;
  const at::Tensor exact = is_half ? output.to(at::kFloat) : output;
  switch (kind) {
    case LossKind::cross_entropy:
      return cross_entropy(exact, targets, count_correct, form);
    case LossKind::mean_squared:
    case LossKind::mean_absolute:
    case LossKind::huber:
      return of_numbers(kind, exact, targets, form);
  }
  broken_invariant("unknown LossKind", std::source_location::current());
}

}  // namespace shoal

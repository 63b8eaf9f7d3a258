#include "shoal/model/loss.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

// By class, or nothing when all count 1; of `labels` the sum.
struct ClassWeights {
  ClassWeights(const LossForm& form, const at::Tensor& output) {
    if (form.class_weights.empty()) return;
    check_equal(static_cast<std::int64_t>(form.class_weights.size()), output.size(1),
                "one weight a class");
    exact = at::tensor(form.class_weights, at::kDouble).to(output.device());
    of_output = exact.to(output.scalar_type());
  }
  at::Tensor of_samples(const at::Tensor& labels) const {
    return exact.defined() ? exact.index_select(0, labels)
                           : at::ones(labels.sizes(), labels.options().dtype(at::kDouble));
  }
  at::Tensor exact;  // [classes] float64
  std::optional<at::Tensor> of_output;
};

// `given` [samples, ..., classes]: one row for each answer.
LossSums cross_entropy(const at::Tensor& given, const at::Tensor& targets, bool count_correct,
                       const LossForm& form, const MixedTargets& mixed) {
  const bool fits = given.dim() >= 2 && targets.sizes() == given.sizes().slice(0, given.dim() - 1);
  if (!fits || (mixed.defined() && given.dim() != 2)) {
    throw InvalidInput(
        fmt::format("cross_entropy takes [samples, {}classes] and [samples{}], not [{}] and [{}]",
                    mixed.defined() ? "" : "..., ", mixed.defined() ? "" : ", ...",
                    fmt::join(given.sizes(), ", "), fmt::join(targets.sizes(), ", ")));
  }
  const at::Tensor output = given.reshape({-1, given.size(-1)});
  const ClassWeights weights(form, output);
  const auto loss_of = [&](const at::Tensor& labels, at::Reduction::Reduction reduction) {
    // No label is ignored: the data has been checked to hold 0 .. classes - 1 only.
    constexpr std::int64_t kIgnoreNone = std::numeric_limits<std::int64_t>::min();
    return at::cross_entropy_loss(output, labels, weights.of_output, reduction, kIgnoreNone,
                                  form.label_smoothing);
  };
  LossSums sums;
  at::Tensor labels = targets.to(at::kLong).reshape(-1);
  if (mixed.defined()) {
    const at::Tensor others = mixed.classes.to(at::kLong);
    const at::Tensor exact = mixed.shares.to(at::kDouble);
    const at::Tensor shares = mixed.shares.to(output.scalar_type());
    sums.loss = (shares * loss_of(labels, at::Reduction::None) +
                 (1 - shares) * loss_of(others, at::Reduction::None))
                    .sum();
    sums.weight = (exact * weights.of_samples(labels) + (1 - exact) * weights.of_samples(others))
                      .sum()
                      .item<double>();
    labels = at::where(shares >= 0.5, labels, others);
  } else {
    sums.loss = loss_of(labels, at::Reduction::Sum);
    sums.weight = weights.exact.defined() ? weights.of_samples(labels).sum().item<double>()
                                          : static_cast<double>(output.size(0));
  }
  if (count_correct && output.size(0) > 0) {
    sums.correct = output.detach().argmax(1).eq(labels).sum().item<std::int64_t>();
  }
  return sums;
}

const char* name_of(LossKind kind) {
  switch (kind) {
    case LossKind::cross_entropy:
      return "cross_entropy";
    case LossKind::binary_cross_entropy:
      return "binary_cross_entropy";
    case LossKind::mean_squared:
      return "mean_squared";
    case LossKind::mean_absolute:
      return "mean_absolute";
    case LossKind::huber:
      return "huber";
  }
  return "?";
}

at::Tensor binary_cross_entropy(const at::Tensor& output, const at::Tensor& wanted,
                                const LossForm& form) {
  std::optional<at::Tensor> pos_weight;
  if (!form.pos_weight.empty()) {
    check_equal(static_cast<std::int64_t>(form.pos_weight.size()),
                output.dim() > 1 ? output.size(1) : 1, "one pos_weight a label");
    pos_weight = at::tensor(form.pos_weight, at::kDouble).to(output.options());
  }
  return at::binary_cross_entropy_with_logits(output, wanted, std::nullopt, pos_weight,
                                              at::Reduction::Sum);
}

LossSums of_numbers(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                    bool count_correct, const LossForm& form) {
  if (output.dim() < 1 || targets.dim() < 1 || output.size(0) != targets.size(0) ||
      output.numel() != targets.numel()) {
    throw InvalidInput(fmt::format("{} takes targets of the output's shape, not [{}] and [{}]",
                                   name_of(kind), fmt::join(output.sizes(), ", "),
                                   fmt::join(targets.sizes(), ", ")));
  }
  const at::Tensor wanted = targets.to(output.scalar_type()).reshape(output.sizes());
  LossSums sums;
  if (kind == LossKind::binary_cross_entropy) {
    sums.loss = binary_cross_entropy(output, wanted, form);
    if (count_correct) {
      sums.correct = output.detach().gt(0).eq(wanted.gt(0.5)).sum().item<std::int64_t>();
    }
  } else if (kind == LossKind::mean_squared) {
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
                   bool count_correct, const LossForm& form, const MixedTargets& mixed) {
  // Sums over a batch need more than the 8 bits of bfloat16.
  const bool is_half = output.scalar_type() == at::kBFloat16 || output.scalar_type() == at::kHalf;
  const at::Tensor exact = is_half ? output.to(at::kFloat) : output;
  switch (kind) {
    case LossKind::cross_entropy:
      return cross_entropy(exact, targets, count_correct, form, mixed);
    case LossKind::binary_cross_entropy:
    case LossKind::mean_squared:
    case LossKind::mean_absolute:
    case LossKind::huber:
      if (mixed.defined()) {
        throw InvalidInput(fmt::format(
            "{} takes no mixtures of classes: set [augment] mixup = 0, or another [model] loss",
            name_of(kind)));
      }
      return of_numbers(kind, exact, targets, count_correct, form);
  }
  broken_invariant("unknown LossKind", std::source_location::current());
}

}  // namespace shoal

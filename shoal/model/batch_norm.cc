#include "shoal/model/batch_norm.h"

#include <torch/torch.h>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Statistics {
  at::Tensor mean;      // [channels], of the whole batch, of the weights' type
  at::Tensor variance;  // divided by `values`
  double values = 0;    // per channel, of the whole batch
};

// Sums about `centre`, which all ranks know and which lies near the mean once training has begun:
// squares of large numbers are not subtracted from each other. [values, sum..., sum of squares...]
at::Tensor own_sums(const at::Tensor& x, const at::Tensor& centre) {
  const std::int64_t channels = x.size(1);
  at::Tensor sums = at::zeros({2 * channels + 1}, x.options().dtype(at::kDouble));
  if (x.numel() == 0) return sums;
  const double values = static_cast<double>(x.numel()) / static_cast<double>(channels);
  // The running statistics say in which type it reduces: float32 for bfloat16 inputs.
  const at::Tensor unused = at::zeros_like(centre);
  auto [mean, variance] = at::batch_norm_update_stats(x, unused, unused.clone(), /*momentum=*/0);
  const at::Tensor distance = mean.to(at::kDouble) - centre.to(at::kDouble);
  sums[0] = values;
  sums.slice(0, 1, channels + 1).copy_(distance * values);
  sums.slice(0, channels + 1).copy_((variance.to(at::kDouble) + distance.square()) * values);
  return sums;
}

Statistics statistics_of_batch(const at::Tensor& x, const at::Tensor& centre, BatchSums& over) {
  const std::int64_t channels = x.size(1);
  at::Tensor sums = own_sums(x, centre);
  over.sum(sums);
  const double values = sums[0].item<double>();
  if (values < 2) {
    throw InvalidInput(
        "batch_norm has one value per channel in the whole batch, which has no variance: give the "
        "batch two samples or more");
  }
  const at::Tensor distance = sums.slice(0, 1, channels + 1) / values;
  const at::Tensor variance = sums.slice(0, channels + 1) / values - distance.square();
  return {.mean = (centre.to(at::kDouble) + distance).to(centre.scalar_type()),
          .variance = variance.clamp_min(0).to(centre.scalar_type()),
          .values = values};
}

void move_towards(RunningStatistics& running, const Statistics& batch) {
  if (!running.mean.defined()) return;
  running.mean.lerp_(batch.mean, running.momentum);
  running.variance.lerp_(batch.variance * (batch.values / (batch.values - 1)), running.momentum);
}

// [channels] beside [samples, channels, ...].
at::Tensor beside(const at::Tensor& of_channels, const at::Tensor& x) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[1] = x.size(1);
  return of_channels.to(x.scalar_type()).view(shape);
}

struct BorrowedSums final : torch::CustomClassHolder {
  explicit BorrowedSums(BatchSums* borrowed) : sums(borrowed) {}
  BatchSums* sums;
};

// With mean and variance given, LibTorch's kernels for evaluation are the forward; their backward
// takes mean and variance for constants, so it gives the sums that the true one needs.
class Normalise : public torch::autograd::Function<Normalise> {
 public:
  // `always`: any leaf that asks for a gradient. Whether x or the weights do differs between plans
  // (freezing), whether the backward meets the other ranks must not.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& /*always*/,
                            const Statistics& batch, double epsilon, BatchSums* sums) {
    context->save_for_backward({x, weight, batch.mean, batch.variance});
    context->saved_data["values"] = batch.values;
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["sums"] =
        c10::IValue::make_capsule(c10::make_intrusive<BorrowedSums>(sums));
    if (x.numel() == 0) return at::empty_like(x);
    return std::get<0>(at::native_batch_norm(x, weight, bias, batch.mean, batch.variance,
                                             /*training=*/false, /*momentum=*/0, epsilon));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3];
    const double values = context->saved_data["values"].toDouble();
    const double epsilon = context->saved_data["epsilon"].toDouble();
    const auto held = context->saved_data["sums"].toCapsule();
    BatchSums* const over = static_cast<const BorrowedSums&>(*held).sums;

    at::Tensor of_x = at::empty_like(x), of_weight = at::zeros_like(weight),
               of_bias = at::zeros_like(weight);
    if (x.numel() > 0) {
      std::tie(of_x, of_weight, of_bias) =
          at::native_batch_norm_backward(gradients[0], x, weight, mean, variance, {}, {},
                                         /*train=*/false, epsilon, {true, true, true});
    }
    at::Tensor both = at::cat({of_weight, of_bias}).to(at::kDouble);
    over->sum(both);
    if (x.numel() > 0) {
      const auto halves = both.chunk(2);
      const at::Tensor inverse = (variance.to(at::kDouble) + epsilon).rsqrt();
      const at::Tensor scale = weight.to(at::kDouble) * inverse / values;
      const at::Tensor by_x = -scale * inverse * halves[0];
      const at::Tensor rest = -by_x * mean.to(at::kDouble) - scale * halves[1];
      of_x.addcmul_(x, beside(by_x, x)).add_(beside(rest, x));
    }
    return {of_x, of_weight, of_bias, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor batch_norm_over_ranks(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, double epsilon, BatchSums& sums,
                                 RunningStatistics running) {
  Statistics batch;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor centre =
        running.mean.defined() ? running.mean : at::zeros_like(weight, weight.options());
    batch = statistics_of_batch(x, centre, sums);
    move_towards(running, batch);
  }
  const at::Tensor always = at::empty({0}, weight.options()).requires_grad_();
  return Normalise::apply(x, weight, bias, always, batch, epsilon, &sums);
}

}  // namespace shoal

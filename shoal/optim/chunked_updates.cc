#include "shoal/optim/chunked_updates.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace shoal {
namespace {

// Of parameter, gradient, three states and a temporary together 1.5 MiB in float32: less than a
// core's second-level cache has, and enough that a call's fixed cost does not count.
constexpr std::int64_t kChunkElements = 1 << 16;

struct Chunk {
  at::Tensor parameter;
  at::Tensor gradient;
  std::vector<at::Tensor> states;
};

// Calls work(chunk) for one chunk after the other. A parameter that is not laid out in one piece is
// one chunk.
template <typename Work>
void in_chunks(const UpdatedParameter& updated, Work work) {
  const std::int64_t elements = updated.parameter.numel();
  if (elements <= kChunkElements || !updated.parameter.is_contiguous()) {
    work(Chunk{updated.parameter.detach(), updated.gradient, updated.states});
    return;
  }
  const at::Tensor parameter = updated.parameter.detach().view(-1);
  const at::Tensor gradient = updated.gradient.view(-1);
  for (std::int64_t begin = 0; begin < elements; begin += kChunkElements) {
    const std::int64_t count = std::min(kChunkElements, elements - begin);
    Chunk chunk{parameter.narrow(0, begin, count), gradient.narrow(0, begin, count), {}};
    for (const at::Tensor& state : updated.states) {
      chunk.states.push_back(state.view(-1).narrow(0, begin, count));
    }
    work(chunk);
  }
}

void scale(at::Tensor& gradient, const UpdateFacts& facts) {
  if (facts.gradient_scale != 1) gradient.mul_(facts.gradient_scale);
}

double squared_norm_of_chunk(const at::Tensor& chunk) {
  const double norm = chunk.norm(2, at::kDouble).item<double>();
  return norm * norm;
}

}  // namespace

double squared_norm(const at::Tensor& tensor) {
  double sum = 0;
  in_chunks({tensor, tensor, {}},
            [&](const Chunk& chunk) { sum += squared_norm_of_chunk(chunk.parameter); });
  return sum;
}

void rmsprop_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                    const UpdateFacts& facts) {
  in_chunks(updated, [&](Chunk chunk) {
    scale(chunk.gradient, facts);
    if (options.weight_decay != 0) chunk.gradient.add_(chunk.parameter, options.weight_decay);
    at::Tensor& square = chunk.states[0];
    square.mul_(options.alpha).addcmul_(chunk.gradient, chunk.gradient, 1 - options.alpha);
    at::Tensor denominator;
    if (options.centered) {
      at::Tensor& mean = chunk.states[1];
      mean.lerp_(chunk.gradient, 1 - options.alpha);
      denominator = square.addcmul(mean, mean, -1).sqrt_();
    } else {
      denominator = square.sqrt();
    }
    denominator.add_(options.denominator_eps());
    if (options.momentum != 0) {
      at::Tensor& velocity = chunk.states.back();
      velocity.mul_(options.momentum).addcdiv_(chunk.gradient, denominator);
      chunk.parameter.add_(velocity, -facts.rate);
    } else {
      chunk.parameter.addcdiv_(chunk.gradient, denominator, -facts.rate);
    }
  });
}

// x -= rate |x| / |u| u  with  u = m / (sqrt(v) + eps) + weight_decay x, m and v as Adam's with
// bias correction. The ratio is 1 where a norm is 0, and for what is not decayed, as in the
// authors' code.
void lamb_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                 const UpdateFacts& facts) {
  const auto count = static_cast<double>(facts.count);
  const double mean_part = 1 - std::pow(options.beta1, count);
  const double square_part = 1 - std::pow(options.beta2, count);
  double weights = 0, step = 0;
  in_chunks(updated, [&](Chunk chunk) {
    scale(chunk.gradient, facts);
    at::Tensor& mean = chunk.states[0];
    at::Tensor& square = chunk.states[1];
    mean.lerp_(chunk.gradient, 1 - options.beta1);
    square.mul_(options.beta2).addcmul_(chunk.gradient, chunk.gradient, 1 - options.beta2);
    const at::Tensor denominator = square.sqrt()
                                       .mul_(mean_part / std::sqrt(square_part))
                                       .add_(options.denominator_eps() * mean_part);
    at::div_out(chunk.gradient, mean, denominator);
    if (options.weight_decay != 0) chunk.gradient.add_(chunk.parameter, options.weight_decay);
    weights += squared_norm_of_chunk(chunk.parameter);
    step += squared_norm_of_chunk(chunk.gradient);
  });
  const bool adapts = facts.decays && weights > 0 && step > 0;
  const double ratio = adapts ? std::sqrt(weights / step) : 1;
  updated.parameter.detach().add_(updated.gradient, -facts.rate * ratio);
}

// v = momentum v + rate c |x| / (|g| + weight_decay |x|) (g + weight_decay x);  x -= v. The own
// rate of a parameter, c |x| / ..., is 1 where a norm is 0, and for what is not decayed.
void lars_update(const OptimizerOptions& options, const UpdatedParameter& updated,
                 const UpdateFacts& facts) {
  const double weights = std::sqrt(squared_norm(updated.parameter));
  const double gradient = std::sqrt(squared_norm(updated.gradient)) * facts.gradient_scale;
  const double own_rate =
      facts.decays && weights > 0 && gradient > 0
          ? options.trust_coefficient * weights / (gradient + options.weight_decay * weights)
          : 1;
  in_chunks(updated, [&](Chunk chunk) {
    scale(chunk.gradient, facts);
    if (options.weight_decay != 0) chunk.gradient.add_(chunk.parameter, options.weight_decay);
    at::Tensor& velocity = chunk.states[0];
    velocity.mul_(options.momentum).add_(chunk.gradient, facts.rate * own_rate);
    chunk.parameter.sub_(velocity);
  });
}

}  // namespace shoal

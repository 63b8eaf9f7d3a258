// What the last block's output is compared with its targets by.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace shoal {

enum class LossKind : std::uint8_t {
  cross_entropy,         // output: logits [n, ..., classes]; targets: class indices [n, ...]
  binary_cross_entropy,  // output: logits [n, k] or [n]; targets of that shape, 0 to 1; summed over
                         // k
  mean_squared,          // output [n, k] or [n]; targets float of that shape; summed over k
  mean_absolute,         // the same
  huber,  // the same; squared up to huber_delta, linear beyond. Huber, Ann. Math. Stat. 1964
};

// What gives a loss its form beside its kind.
struct LossForm {
  // cross_entropy: this share of a target is spread evenly over all classes. Szegedy et al., CVPR
  // 2016, section 7.
  double label_smoothing = 0;
  // cross_entropy: one a class, by which a sample counts; empty: all count 1.
  std::vector<double> class_weights = {};
  // binary_cross_entropy: one a label, by which its 1 counts beside its 0; empty: both count 1.
  std::vector<double> pos_weight = {};
  double huber_delta = 1;
};

// Of samples that are mixtures of two: the other one's class, and the share of the sample's own.
// Both undefined where nothing is mixed.
struct MixedTargets {
  at::Tensor classes = {};  // [samples] class indices
  at::Tensor shares = {};   // [samples] numbers of 0 to 1
  bool defined() const { return shares.defined(); }
};

struct LossSums {
  at::Tensor loss;           // scalar: sum over samples, differentiable
  double weight = 0;         // what the sum is divided by: samples (of cross_entropy: answers), or
                             // the sum of their weights
  std::int64_t correct = 0;  // argmax equals the target, of mixtures that of the larger share; of
                             // binary_cross_entropy labels on the right side; 0 for regression
};

// The mean, loss / weight, is that of torch's function of that name (over k columns, with all but
// cross_entropy: k times it). Throws InvalidInput for shapes that do not fit.
// Of mixtures cross_entropy takes share x that of the own class + (1 - share) x that of the other
// (Zhang et al., mixup, ICLR 2018, section 3), weights of classes likewise; targets that are
// numbers have to be mixed already.
LossSums loss_sums(LossKind kind, const at::Tensor& output, const at::Tensor& targets,
                   bool count_correct, const LossForm& form = {}, const MixedTargets& mixed = {});

}  // namespace shoal

// Optimizers as functions on parameters, gradients and states: no module, no autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/program/facts.h"

namespace shoal {

// What an update needs beside elements of the same place, and where its rule is from:
//   sgd      nothing; with momentum one state        Sutskever et al., ICML 2013, as torch.optim
//   adam     nothing; two states, three with amsgrad Kingma, Ba, ICLR 2015; Reddi et al., ICLR 2018
//   adamw    the same                                Loshchilov, Hutter, ICLR 2019
//   rmsprop  nothing; one to three states            Hinton, lecture 6e; Graves, arXiv 1308.0850
//   adagrad  nothing; one state                      Duchi et al., JMLR 2011
//   lamb     two norms per parameter; two states     You et al., ICLR 2020, algorithm 2
//   lars     two norms per parameter; one state      You et al., arXiv 1708.03888, algorithm 1
enum class OptimizerKind : std::uint8_t { sgd, adam, adamw, rmsprop, adagrad, lamb, lars };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0;                // sgd, rmsprop, lars
  bool nesterov = false;              // sgd
  double beta1 = 0.9, beta2 = 0.999;  // adam, adamw, lamb
  bool amsgrad = false;               // adam, adamw: divides by the largest mean square so far
  double alpha = 0.99;                // rmsprop: decay of the mean square
  bool centered = false;            // rmsprop: divides by the deviation, not the mean square's root
  double lr_decay = 0;              // adagrad: rate / (1 + lr_decay x updates before this one)
  double initial_accumulator = 0;   // adagrad: what the sums of squares begin with
  double trust_coefficient = 1e-3;  // lars: rate of a layer over |weights| / |gradient|
  // Added to the denominator; absent: 1e-10 for adagrad, 1e-6 for lamb, else 1e-8, which are the
  // defaults of torch.optim and of LAMB's authors. sgd and lars have none.
  std::optional<double> eps = std::nullopt;
  // adamw, lamb: decoupled from the gradient; else added to it times the weight.
  double weight_decay = 0;
  // Parameters that are not decayed (and that lamb and lars give the plain rate): by name, or the
  // beginning of their names and '*'; and, without decay_vectors, all with less than two dims:
  // biases and the scales of norms.
  std::vector<std::string> no_decay = {};
  bool decay_vectors = true;
  // The global gradient norm (of the mean loss) is at most this.
  std::optional<double> clip_norm = std::nullopt;
  // Each element of that gradient, scaled already by clip_norm, is cut to -this ... this.
  std::optional<double> clip_value = std::nullopt;

  double denominator_eps() const;
  std::vector<std::string> problems() const;
  bool decays(const std::string& name, std::int64_t dims) const;
};
// For the job's [train] table: optimizer, momentum, nesterov, betas, eps, weight_decay, ...
std::vector<Option> entries(OptimizerOptions& options);

// What an update multiplies and counts by.
struct UpdateFacts {
  double rate = 0;            // learning rate of this step
  double gradient_scale = 1;  // the gradient handed over times this is that of the mean loss
  std::int64_t count = 1;     // updates applied including this one, from 1 (bias correction)
  bool decays = true;         // else these parameters are those that weight decay leaves out
};

// Names in no_decay that no parameter of the model has, a sentence each.
std::vector<std::string> fit_problems(const OptimizerOptions& options,
                                      const std::vector<BlockFacts>& blocks);

// The states that each parameter has, in order: {"momentum"}, {"exp_avg", "exp_avg_sq"}, {}, ...;
// named as torch.optim names them, but for sgd's and lars's "momentum".
std::vector<std::string> state_names(const OptimizerOptions& options);

// The states before the first update, of the parameter's shape and type, lying
// in memory as it does.
std::vector<at::Tensor> new_states(const OptimizerOptions& options, const at::Tensor& parameter);

// parameters[i], gradients[i] (defined, same shape, dense and lying in memory alike), states[i] as
// new_states gives them; all updated in place, gradients may be used as scratch. Equal to
// torch.optim's to rounding, lamb and lars to their papers' rule; the same bits on every rank that
// is given the same bits. Cost: one pass over parameters, gradients and states, by LibTorch's fused
// CPU kernels or in chunks that stay in the cache; a second one where norms are needed, and one
// over gradients for clip_value.
void update(const OptimizerOptions& options, std::vector<at::Tensor>& parameters,
            std::vector<at::Tensor>& gradients, std::vector<std::vector<at::Tensor>>& states,
            const UpdateFacts& facts);

// Sum of the elements' squares in float64: in float32 the small ones of a large tensor would be
// lost. In chunks, as LibTorch's norm widens all of its input first.
double squared_norm(const at::Tensor& tensor);

}  // namespace shoal

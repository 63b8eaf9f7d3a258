// Normalisation: over the batch, of this worker or of all, and over a sample.
#include <fmt/format.h>

#include "shoal/core/error.h"
#include "shoal/model/batch_norm.h"
#include "shoal/model/layer.h"

namespace shoal {
namespace {

// Statistics of this call's samples (and pixels): not additive over samples, so results depend on
// how a batch is cut; or, when `global`, of the whole batch, however it is cut.
// Source: Ioffe and Szegedy, Batch Normalization, ICML 2015.
class BatchNorm final : public Layer {
 public:
  BatchNorm(std::int64_t channels, double momentum, double epsilon, bool global)
      : weight_(register_parameter("weight", torch::empty({channels}))),
        bias_(register_parameter("bias", torch::empty({channels}))),
        running_mean_(register_buffer("running_mean", torch::empty({channels}))),
        running_var_(register_buffer("running_var", torch::empty({channels}))),
        momentum_(momentum),
        epsilon_(epsilon),
        global_(global) {}

  at::Tensor forward(const at::Tensor& x, const Context& context, bool /*may*/) override {
    if (!context.training()) {
      return at::batch_norm(x, weight_, bias_, running_mean_, running_var_, false, momentum_,
                            epsilon_, false);
    }
    if (global_ && context.batch_sums != nullptr) return over_ranks(x, context);
    if (x.numel() > 0 && x.numel() == x.size(1)) {
      throw InvalidInput(
          "batch_norm has one value per channel, which has no variance: give every worker and "
          "micro-batch two samples or more");
    }
    const bool update = context.updates_statistics();
    return at::batch_norm(x, weight_, bias_, update ? running_mean_ : at::Tensor(),
                          update ? running_var_ : at::Tensor(), true, momentum_, epsilon_, false);
  }
  bool output_is_free() const override { return true; }
  std::vector<std::string> dims_of(const std::string& /*tensor*/) const override {
    return {"channels"};
  }

  void initialise(const InitialValues& /*values*/) override {
    weight_.fill_(1);
    bias_.zero_();
    running_mean_.zero_();
    running_var_.fill_(1);
  }

 private:
  at::Tensor over_ranks(const at::Tensor& x, const Context& context) const {
    RunningStatistics running{.mean = {}, .variance = {}, .momentum = momentum_};
    if (context.updates_statistics()) {
      running.mean = running_mean_;
      running.variance = running_var_;
    }
    return batch_norm_over_ranks(x, weight_, bias_, epsilon_, *context.batch_sums, running);
  }

  at::Tensor weight_;  // all [channels]
  at::Tensor bias_;
  at::Tensor running_mean_;
  at::Tensor running_var_;
  double momentum_;
  double epsilon_;
  bool global_;
};

// Over the features of each position, of other samples over all elements. Source: Ba et al., Layer
// Normalization, 2016.
class LayerNorm final : public Layer {
 public:
  LayerNorm(const Shape& sample, double epsilon)
      : weight_(register_parameter("weight", torch::empty(sample))),
        bias_(register_parameter("bias", torch::empty(sample))),
        sample_(sample),
        epsilon_(epsilon) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return at::layer_norm(x, sample_, weight_, bias_, epsilon_);
  }
  bool output_is_free() const override { return true; }

  void initialise(const InitialValues& /*values*/) override {
    weight_.fill_(1);
    bias_.zero_();
  }

 private:
  at::Tensor weight_;  // [...sample]
  at::Tensor bias_;
  Shape sample_;
  double epsilon_;
};

}  // namespace

std::vector<LayerType> norm_layers() {
  using Kind = LayerSetting::Kind;
  const LayerSetting epsilon{
      .name = "epsilon", .kind = Kind::number, .standard = 1e-5, .low = 1e-12, .high = 1};
  const LayerType batch_norm{
      .name = "batch_norm",
      .settings = {{.name = "momentum", .kind = Kind::number, .standard = 0.1, .low = 0, .high = 1},
                   epsilon,
                   {.name = "global", .kind = Kind::yes_no, .standard = 0}},
      .output_shape =
          [](const LayerSettings&, const Shape& input) {
            if (input.size() != 1 && input.size() != 3) {
              throw InvalidInput("it takes [features] or [channels, height, width]");
            }
            return input;
          },
      .build =
          [](const LayerSettings& settings, const Shape& input, const std::string&) {
            return std::make_shared<BatchNorm>(input[0], settings.number("momentum"),
                                               settings.number("epsilon"), settings.yes("global"));
          }};
  const LayerType layer_norm{
      .name = "layer_norm",
      .settings = {epsilon},
      .output_shape = same_shape,
      .build = [](const LayerSettings& settings, const Shape& input, const std::string&) {
        const bool positions = input.size() == 2;
        return std::make_shared<LayerNorm>(positions ? Shape{input.back()} : input,
                                           settings.number("epsilon"));
      }};
  return {batch_norm, layer_norm};
}

}  // namespace shoal

// A layer that sleeps instead of computing: work of a known length, for schedules and simulators.
#include <chrono>
#include <thread>

#include "shoal/model/layer.h"

namespace shoal {
namespace {

void sleep_ms(double ms) {
  if (ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

struct WaitFunction : torch::autograd::Function<WaitFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            double forward_ms, double backward_ms) {
    context->saved_data["backward_ms"] = backward_ms;
    sleep_ms(forward_ms);
    return x;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    sleep_ms(context->saved_data["backward_ms"].toDouble());
    return {gradients[0], at::Tensor(), at::Tensor()};
  }
};

class Wait final : public Layer {
 public:
  Wait(double forward_ms, double backward_ms)
      : forward_ms_(forward_ms), backward_ms_(backward_ms) {}

  at::Tensor forward(const at::Tensor& x, const Context& /*context*/, bool /*may*/) override {
    return WaitFunction::apply(x, forward_ms_, backward_ms_);
  }
  Waits waits() const override {
    return {.forward = forward_ms_ / 1000, .backward = backward_ms_ / 1000};
  }

 private:
  double forward_ms_;
  double backward_ms_;
};

}  // namespace

std::vector<LayerType> wait_layers() {
  using Kind = LayerSetting::Kind;
  constexpr double kLongest = 600'000;
  const LayerType wait{
      .name = "wait",
      .settings =
          {{.name = "wait", .kind = Kind::number, .low = 0, .high = kLongest},
           // Not given: as long as forward.
           {.name = "backward", .kind = Kind::number, .standard = -1, .low = 0, .high = kLongest}},
      .output_shape = same_shape,
      .build = [](const LayerSettings& settings, const Shape&, const std::string&) {
        const double forward = settings.number("wait");
        const double backward = settings.number("backward");
        return std::make_shared<Wait>(forward, backward < 0 ? forward : backward);
      }};
  return {wait};
}

}  // namespace shoal

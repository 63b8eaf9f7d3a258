#include "shoal/train/loss_scale.h"

#include <algorithm>

namespace shoal {

void LossScale::after_overflow() {
  scale_ = std::max(kLeast, scale_ / 2);
  good_steps_ = 0;
}

void LossScale::after_good_step() {
  if (!on_ || ++good_steps_ < kStepsToGrow) return;
  // Where gradients vanish altogether it would grow until float32 overflows.
  constexpr double kLargest = 1.0 * (1LL << 40);
  scale_ = std::min(kLargest, scale_ * 2);
  good_steps_ = 0;
}

nlohmann::json LossScale::state() const { return {{"scale", scale_}, {"good_steps", good_steps_}}; }

void LossScale::restore(const nlohmann::json& state) {
  scale_ = state.at("scale").get<double>();
  good_steps_ = state.at("good_steps").get<std::int64_t>();
}

}  // namespace shoal

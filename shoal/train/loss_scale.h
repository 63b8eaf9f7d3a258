// Dynamic loss scaling: what float16 needs so that small gradients are not lost.
// Source: Micikevicius et al., Mixed Precision Training, ICLR 2018, section 3.2; torch.amp's
// GradScaler has these numbers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

namespace shoal {

// The same on every rank, as all are told the same. One thread.
class LossScale {
 public:
  static constexpr double kFirst = 65'536;
  static constexpr double kLeast = 1;
  static constexpr std::int64_t kStepsToGrow = 2'000;

  explicit LossScale(bool on) : on_(on) {}

  bool on() const { return on_; }
  double value() const { return on_ ? scale_ : 1; }
  // Whether an overflow can be answered by halving the scale once more.
  bool can_fall() const { return on_ && scale_ > kLeast; }
  void after_overflow();
  void after_good_step();

  // For a checkpoint, and back.
  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  bool on_;
  double scale_ = kFirst;
  std::int64_t good_steps_ = 0;
};

}  // namespace shoal

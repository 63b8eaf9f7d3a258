// Updates against torch.optim's numbers, and learning rates by step.
#include "shoal/optim/optimizer.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shoal/optim/rate.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What torch.optim (2.x, foreach=False, fused=False) makes of {1, -2, 0.5} in ten steps whose
// gradients are gradient_of_step(). float64 first.
struct Expected {
  const char* name;
  OptimizerOptions options;
  double rate;
  std::vector<double> in_double;
  std::vector<double> in_float;
};

std::vector<Expected> table() {
  using Kind = OptimizerKind;
  return {
      {"sgd",
       {.kind = Kind::sgd, .clip_norm = {}},
       0.1,
       {1.0125, -1.95, 0.45000000000000001},
       {1.0125000476837158, -1.9500000476837158, 0.44999998807907104}},
      {"momentum",
       {.kind = Kind::sgd, .momentum = 0.9, .clip_norm = {}},
       0.1,
       {0.95959136868749972, -1.6919596554, 0.35979743688749988},
       {0.95959115028381348, -1.6919595003128052, 0.35979744791984558}},
      {"nesterov",
       {.kind = Kind::sgd,
        .momentum = 0.9,
        .nesterov = true,
        .weight_decay = 0.05,
        .clip_norm = {}},
       0.1,
       {0.74196299308210145, -1.249700370212337, 0.21013264680274157},
       {0.7419629693031311, -1.2497004270553589, 0.21013270318508148}},
      {"adam",
       {.kind = Kind::adam, .weight_decay = 0.1, .clip_norm = {}},
       0.05,
       {0.94719860552721424, -1.6930619379022123, 0.40141661860809519},
       {0.94719851016998291, -1.6930618286132812, 0.4014165997505188}},
      {"adamw",
       {.kind = Kind::adamw,
        .beta1 = 0.8,
        .beta2 = 0.95,
        .eps = 1e-7,
        .weight_decay = 0.1,
        .clip_norm = {}},
       0.05,
       {0.97776660225510259, -1.7865164060454415, 0.4142577026708697},
       {0.97776669263839722, -1.7865166664123535, 0.41425779461860657}},
  };
}

// Exact in float32 and float64.
at::Tensor gradient_of_step(std::int64_t step, at::ScalarType type) {
  at::Tensor gradient = at::empty({3}, type);
  for (std::int64_t i = 0; i < 3; ++i) {
    gradient[i] = static_cast<double>((step * 5 + i * 3) % 11 - 5) / 8;
  }
  return gradient;
}

// Ten steps; the gradients are handed over as sums over `samples` samples.
std::vector<double> trained(const OptimizerOptions& options, double rate, at::ScalarType type,
                            double samples) {
  std::vector<at::Tensor> parameters{at::empty({3}, type)};
  parameters[0][0] = 1.0;
  parameters[0][1] = -2.0;
  parameters[0][2] = 0.5;
  std::vector<std::vector<at::Tensor>> states{new_states(options, parameters[0])};
  EXPECT_EQ(states[0].size(), state_names(options).size());
  for (std::int64_t step = 0; step < 10; ++step) {
    std::vector<at::Tensor> gradients{gradient_of_step(step, type) * samples};
    update(options, parameters, gradients, states,
           {.rate = rate, .gradient_scale = 1 / samples, .count = step + 1});
  }
  const at::Tensor found = parameters[0].to(at::kDouble);
  return {found.const_data_ptr<double>(), found.const_data_ptr<double>() + 3};
}

TEST(Optimizer, TenStepsAreThoseOfTorchOptim) {
  for (const Expected& expected : table()) {
    for (const double samples : {1.0, 32.0, 7.0}) {
      SCOPED_TRACE(::testing::Message() << expected.name << ", sums over " << samples);
      const auto wide = trained(expected.options, expected.rate, at::kDouble, samples);
      const auto narrow = trained(expected.options, expected.rate, at::kFloat, samples);
      for (int i = 0; i < 3; ++i) {
        EXPECT_NEAR(wide[i], expected.in_double[i], 1e-12);
        EXPECT_NEAR(narrow[i], expected.in_float[i], 1e-6);
      }
    }
  }
}

TEST(Optimizer, SameInputGivesTheSameBits) {
  for (const Expected& expected : table()) {
    EXPECT_EQ(trained(expected.options, expected.rate, at::kFloat, 24),
              trained(expected.options, expected.rate, at::kFloat, 24))
        << expected.name;
  }
}

TEST(Optimizer, UpdatesEveryParameterByItsOwnGradient) {
  const OptimizerOptions options{.kind = OptimizerKind::sgd, .momentum = 0.5, .clip_norm = {}};
  std::vector<at::Tensor> parameters{at::zeros({2, 2}), at::ones({5}), at::zeros({})};
  std::vector<at::Tensor> gradients{at::ones({2, 2}), at::ones({5}) * 2, at::ones({}) * 3};
  std::vector<std::vector<at::Tensor>> states;
  for (const auto& parameter : parameters) states.push_back(new_states(options, parameter));
  update(options, parameters, gradients, states, {.rate = 0.5, .gradient_scale = 1, .count = 1});
  EXPECT_TRUE(at::equal(parameters[0], at::full({2, 2}, -0.5)));
  EXPECT_TRUE(at::equal(parameters[1], at::zeros({5})));
  EXPECT_TRUE(at::equal(parameters[2], at::full({}, -1.5)));
  EXPECT_TRUE(at::equal(states[1][0], at::full({5}, 2.0)));
}

TEST(Optimizer, NoParametersAreNoUpdate) {
  std::vector<at::Tensor> none;
  std::vector<std::vector<at::Tensor>> no_states;
  EXPECT_NO_THROW(update({}, none, none, no_states, {}));
}

TEST(Optimizer, StatesFollowTheKind) {
  EXPECT_THAT(state_names({}), IsEmpty());
  EXPECT_THAT(state_names({.kind = OptimizerKind::sgd, .momentum = 0.9, .clip_norm = {}}),
              ElementsAre("momentum"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::adamw, .clip_norm = {}}),
              ElementsAre("exp_avg", "exp_avg_sq"));
  const at::Tensor parameter = at::ones({3, 2}, at::kDouble).requires_grad_(true);
  for (const at::Tensor& state :
       new_states({.kind = OptimizerKind::adam, .clip_norm = {}}, parameter)) {
    EXPECT_TRUE(at::equal(state, at::zeros({3, 2}, at::kDouble)));
    EXPECT_FALSE(state.requires_grad());
  }
}

TEST(Optimizer, NamesEveryBadOption) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(OptimizerOptions{}.problems(), IsEmpty());
  const OptimizerOptions bad{
      .momentum = 1, .beta1 = -0.1, .beta2 = nan, .eps = 0, .weight_decay = -1, .clip_norm = 0.0};
  EXPECT_THAT(bad.problems(),
              ElementsAre(HasSubstr("momentum is 1"), HasSubstr("beta1 is -0.1"),
                          HasSubstr("beta2 is nan"), HasSubstr("eps is 0"),
                          HasSubstr("weight_decay is -1"), HasSubstr("clip_norm is 0")));
  EXPECT_THAT((OptimizerOptions{.nesterov = true, .clip_norm = {}}.problems()),
              ElementsAre(HasSubstr("nesterov needs momentum")));
  const OptimizerOptions endless{.eps = inf, .weight_decay = inf, .clip_norm = inf};
  EXPECT_THAT(endless.problems(), ElementsAre(HasSubstr("eps is inf"), HasSubstr("weight_decay"),
                                              HasSubstr("clip_norm is inf")));
}

TEST(Optimizer, NamesOptionsWithoutEffect) {
  EXPECT_THAT(OptimizerOptions{}.without_effect(), IsEmpty());
  EXPECT_THAT((OptimizerOptions{
                   .kind = OptimizerKind::adam, .momentum = 0.9, .nesterov = true, .clip_norm = {}})
                  .without_effect(),
              ElementsAre("momentum", "nesterov"));
  EXPECT_THAT((OptimizerOptions{.beta1 = 0.5, .eps = 1e-7, .clip_norm = {}}).without_effect(),
              ElementsAre("beta1", "eps"));
}

TEST(Rate, RisesInEqualStepsThenStays) {
  const RateOptions options{.lr = 0.8, .warmup_steps = 4};
  std::vector<double> rates;
  for (int step = 0; step < 6; ++step) rates.push_back(rate_at(options, step, 100, 1));
  EXPECT_THAT(rates, ::testing::Pointwise(::testing::DoubleEq(),
                                          std::vector<double>{0.2, 0.4, 0.6, 0.8, 0.8, 0.8}));
}

TEST(Rate, FallsEverySoManyUpdatesAfterWarmUp) {
  const RateOptions options{
      .lr = 1, .kind = RateKind::step, .warmup_steps = 2, .step_every = 3, .step_factor = 0.5};
  std::vector<double> rates;
  for (int step = 0; step < 9; ++step) rates.push_back(rate_at(options, step, 9, 1));
  EXPECT_THAT(rates, ElementsAre(0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25));
}

TEST(Rate, CosineGoesFromTopToItsFinalFraction) {
  const RateOptions options{
      .lr = 2, .kind = RateKind::cosine, .warmup_steps = 10, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(rate_at(options, 9, 110, 1), 2);
  EXPECT_DOUBLE_EQ(rate_at(options, 10, 110, 1), 2);
  EXPECT_NEAR(rate_at(options, 60, 110, 1), 1.1, 1e-12);  // half way
  EXPECT_NEAR(rate_at(options, 110, 110, 1), 0.2, 1e-12);
  EXPECT_NEAR(rate_at(options, 500, 110, 1), 0.2, 1e-12);  // does not rise again
  // All steps are warm-up: nothing is divided by zero.
  EXPECT_DOUBLE_EQ(rate_at(options, 10, 10, 1), 2);
}

TEST(Rate, LinearScalingMultipliesByThePartsOfTheBatch) {
  RateOptions options{.lr = 0.1, .warmup_steps = 2};
  EXPECT_DOUBLE_EQ(rate_at(options, 5, 10, 8), 0.1);
  options.scaling = RateScaling::linear;
  EXPECT_DOUBLE_EQ(rate_at(options, 5, 10, 8), 0.8);
  EXPECT_DOUBLE_EQ(rate_at(options, 0, 10, 8), 0.4);
}

TEST(Rate, NamesEveryBadOption) {
  EXPECT_THAT(RateOptions{}.problems(), IsEmpty());
  const RateOptions bad{.lr = 0,
                        .kind = RateKind::step,
                        .warmup_steps = -1,
                        .step_every = 0,
                        .step_factor = 2,
                        .final_fraction = 1.5};
  EXPECT_THAT(
      bad.problems(),
      ElementsAre(HasSubstr("lr is 0"), HasSubstr("warmup_steps is -1"), HasSubstr("lr_step_every"),
                  HasSubstr("lr_step_factor is 2"), HasSubstr("lr_final_fraction is 1.5")));
  for (const double lr : {std::nan(""), std::numeric_limits<double>::infinity(), -1.0}) {
    EXPECT_THAT(RateOptions{.lr = lr}.problems(), ElementsAre(HasSubstr("lr is")));
  }
}

}  // namespace
}  // namespace shoal

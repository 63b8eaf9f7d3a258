// What optimizers' options say of themselves: states, faults, and what has no effect.
#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shoal/core/test_options.h"
#include "shoal/optim/optimizer.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OptimizerOptions, StatesFollowTheKind) {
  EXPECT_THAT(state_names({}), IsEmpty());
  EXPECT_THAT(state_names({.kind = OptimizerKind::sgd, .momentum = 0.9, .clip_norm = {}}),
              ElementsAre("momentum"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::adamw, .clip_norm = {}}),
              ElementsAre("exp_avg", "exp_avg_sq"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::adam, .amsgrad = true}),
              ElementsAre("exp_avg", "exp_avg_sq", "max_exp_avg_sq"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::rmsprop}), ElementsAre("square_avg"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::rmsprop, .momentum = 0.9, .centered = true}),
              ElementsAre("square_avg", "grad_avg", "momentum_buffer"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::adagrad}), ElementsAre("sum"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::lamb}), ElementsAre("exp_avg", "exp_avg_sq"));
  EXPECT_THAT(state_names({.kind = OptimizerKind::lars}), ElementsAre("momentum"));
  const at::Tensor parameter = at::ones({3, 2}, at::kDouble).requires_grad_(true);
  for (const at::Tensor& state :
       new_states({.kind = OptimizerKind::adam, .clip_norm = {}}, parameter)) {
    EXPECT_TRUE(at::equal(state, at::zeros({3, 2}, at::kDouble)));
    EXPECT_FALSE(state.requires_grad());
  }
}

TEST(OptimizerOptions, NamesEveryBadOption) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(OptimizerOptions{}.problems(), IsEmpty());
  const OptimizerOptions bad{
      .momentum = 1, .beta1 = -0.1, .beta2 = nan, .eps = 0, .weight_decay = -1, .clip_norm = 0.0};
  EXPECT_THAT(bad.problems(),
              ElementsAre(HasSubstr("momentum is 1"), HasSubstr("beta1 is -0.1"),
                          HasSubstr("beta2 is nan"), HasSubstr("eps is 0"),
                          HasSubstr("weight_decay is -1"), HasSubstr("clip_norm is 0")));
  const OptimizerOptions others{
      .alpha = 1, .lr_decay = -1, .initial_accumulator = inf, .trust_coefficient = 0};
  EXPECT_THAT(others.problems(), ElementsAre(HasSubstr("alpha is 1"), HasSubstr("lr_decay is -1"),
                                             HasSubstr("initial_accumulator is inf"),
                                             HasSubstr("trust_coefficient is 0")));
  EXPECT_THAT((OptimizerOptions{.nesterov = true, .clip_norm = {}}.problems()),
              ElementsAre(HasSubstr("nesterov needs momentum")));
  const OptimizerOptions endless{.eps = inf, .weight_decay = inf, .clip_norm = inf};
  EXPECT_THAT(endless.problems(), ElementsAre(HasSubstr("eps is inf"), HasSubstr("weight_decay"),
                                              HasSubstr("clip_norm is inf")));
}

std::vector<std::string> idle_keys(OptimizerOptions options) {
  OptimizerOptions standard;
  return shoal::idle_keys(entries(options), entries(standard));
}

TEST(OptimizerOptions, NamesOptionsWithoutEffect) {
  EXPECT_THAT(idle_keys(OptimizerOptions{}), IsEmpty());
  EXPECT_THAT(idle_keys({.kind = OptimizerKind::adam, .momentum = 0.9, .nesterov = true}),
              ElementsAre("momentum", "nesterov"));
  EXPECT_THAT(idle_keys({.beta1 = 0.5, .eps = 1e-7}), ElementsAre("beta1", "eps"));
  const OptimizerOptions everything{.momentum = 0.9,
                                    .nesterov = true,
                                    .beta1 = 0.8,
                                    .beta2 = 0.9,
                                    .amsgrad = true,
                                    .alpha = 0.9,
                                    .centered = true,
                                    .lr_decay = 0.1,
                                    .initial_accumulator = 0.1,
                                    .trust_coefficient = 0.1,
                                    .eps = 1e-7};
  const auto idle = [&](OptimizerKind kind) {
    OptimizerOptions options = everything;
    options.kind = kind;
    return idle_keys(options);
  };
  EXPECT_THAT(idle(OptimizerKind::rmsprop),
              ElementsAre("nesterov", "beta1", "beta2", "amsgrad", "lr_decay",
                          "initial_accumulator", "trust_coefficient"));
  EXPECT_THAT(idle(OptimizerKind::adagrad),
              ElementsAre("momentum", "nesterov", "beta1", "beta2", "amsgrad", "alpha", "centered",
                          "trust_coefficient"));
  EXPECT_THAT(idle(OptimizerKind::lamb),
              ElementsAre("momentum", "nesterov", "amsgrad", "alpha", "centered", "lr_decay",
                          "initial_accumulator", "trust_coefficient"));
  EXPECT_THAT(idle(OptimizerKind::lars),
              ElementsAre("nesterov", "beta1", "beta2", "amsgrad", "alpha", "centered", "lr_decay",
                          "initial_accumulator", "eps"));
}

TEST(OptimizerOptions, DecaysByNameAndDims) {
  const OptimizerOptions all{.weight_decay = 0.1};
  EXPECT_TRUE(all.decays("0.linear.bias", 1));
  const OptimizerOptions some{.weight_decay = 0.1, .no_decay = {"1.*", "2.linear.weight"}};
  EXPECT_TRUE(some.decays("0.linear.bias", 1));
  EXPECT_FALSE(some.decays("1.linear.weight", 2));
  EXPECT_FALSE(some.decays("2.linear.weight", 2));
  EXPECT_TRUE(some.decays("12.linear.weight", 2));
  const OptimizerOptions matrices{.weight_decay = 0.1, .decay_vectors = false};
  EXPECT_FALSE(matrices.decays("0.linear.bias", 1));
  EXPECT_FALSE(matrices.decays("0.scale", 0));
  EXPECT_TRUE(matrices.decays("0.conv.weight", 4));
}

TEST(OptimizerOptions, NamesPatternsThatAreNoneOrThatNothingMatches) {
  const OptimizerOptions bad{.no_decay = {"a*b", "", "1.*"}};
  EXPECT_THAT(bad.problems(),
              ElementsAre(HasSubstr("no_decay has \"a*b\""), HasSubstr("no_decay has \"\"")));
  BlockFacts block;
  block.name = "0.linear";
  block.parameters.resize(2);
  block.parameters[0].name = "0.linear.bias";
  block.parameters[1].name = "0.linear.weight";
  EXPECT_THAT(fit_problems({.no_decay = {"0.*", "0.linear.bias", "1.*"}}, {block}),
              ElementsAre(HasSubstr("no_decay has \"1.*\", which no parameter")));
  EXPECT_THAT(idle_keys({.no_decay = {"1.*"}, .decay_vectors = false}),
              ElementsAre("no_decay", "decay_vectors"));
  EXPECT_THAT(idle_keys({.kind = OptimizerKind::lamb, .no_decay = {"1.*"}}), IsEmpty());
}

}  // namespace
}  // namespace shoal

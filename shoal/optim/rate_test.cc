// Learning rates by step.
#include "shoal/optim/rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shoal/core/test_options.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Rate, RisesInEqualStepsThenStays) {
  const RateOptions options{.lr = 0.8, .warmup_steps = 4};
  std::vector<double> rates;
  for (int step = 0; step < 6; ++step)
    rates.push_back(rate_at(options, step, {.total_steps = 100, .batch_parts = 1}));
  EXPECT_THAT(rates, ::testing::Pointwise(::testing::DoubleEq(),
                                          std::vector<double>{0.2, 0.4, 0.6, 0.8, 0.8, 0.8}));
}

TEST(Rate, FallsEverySoManyUpdatesAfterWarmUp) {
  const RateOptions options{
      .lr = 1, .kind = RateKind::step, .warmup_steps = 2, .step_every = 3, .step_factor = 0.5};
  std::vector<double> rates;
  for (int step = 0; step < 9; ++step)
    rates.push_back(rate_at(options, step, {.total_steps = 9, .batch_parts = 1}));
  EXPECT_THAT(rates, ElementsAre(0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25));
}

TEST(Rate, CosineGoesFromTopToItsFinalFraction) {
  const RateOptions options{
      .lr = 2, .kind = RateKind::cosine, .warmup_steps = 10, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(rate_at(options, 9, {.total_steps = 110, .batch_parts = 1}), 2);
  EXPECT_DOUBLE_EQ(rate_at(options, 10, {.total_steps = 110, .batch_parts = 1}), 2);
  EXPECT_NEAR(rate_at(options, 60, {.total_steps = 110, .batch_parts = 1}), 1.1,
              1e-12);  // half way
  EXPECT_NEAR(rate_at(options, 110, {.total_steps = 110, .batch_parts = 1}), 0.2, 1e-12);
  EXPECT_NEAR(rate_at(options, 500, {.total_steps = 110, .batch_parts = 1}), 0.2,
              1e-12);  // does not rise again
  // All steps are warm-up: nothing is divided by zero.
  EXPECT_DOUBLE_EQ(rate_at(options, 10, {.total_steps = 10, .batch_parts = 1}), 2);
}

TEST(Rate, LinearScalingMultipliesByThePartsOfTheBatch) {
  RateOptions options{.lr = 0.1, .warmup_steps = 2};
  EXPECT_DOUBLE_EQ(rate_at(options, 5, {.total_steps = 10, .batch_parts = 8}), 0.1);
  options.scaling = RateScaling::linear;
  EXPECT_DOUBLE_EQ(rate_at(options, 5, {.total_steps = 10, .batch_parts = 8}), 0.8);
  EXPECT_DOUBLE_EQ(rate_at(options, 0, {.total_steps = 10, .batch_parts = 8}), 0.4);
}

TEST(Rate, BatchScalingMultipliesByTheShareOfTheBaseBatch) {
  RateOptions options{.lr = 0.1, .scaling = RateScaling::batch, .base_batch = 256};
  EXPECT_DOUBLE_EQ(rate_at(options, 5, {.total_steps = 10, .batch_parts = 8, .batch = 2048}), 0.8);
  EXPECT_DOUBLE_EQ(rate_at(options, 5, {.total_steps = 10, .batch_parts = 2, .batch = 256}), 0.1);
  EXPECT_DOUBLE_EQ(rate_at(options, 5, {.total_steps = 10, .batch_parts = 1, .batch = 64}), 0.025);
}

// Goyal et al. 2017, section 2.2: k = 8 times the rate, from the base rate in equal steps.
TEST(Rate, GradualWarmUpGoesFromTheBaseRateToItsMultiple) {
  for (const auto scaling : {RateScaling::linear, RateScaling::batch}) {
    const RateOptions options{.lr = 0.1,
                              .warmup_steps = 70,
                              .warmup_from = WarmupFrom::lr,
                              .scaling = scaling,
                              .base_batch = 32};
    const auto rate = [&](std::int64_t step) {
      return rate_at(options, step, {.total_steps = 100, .batch_parts = 8, .batch = 256});
    };
    EXPECT_DOUBLE_EQ(rate(0), 0.1);
    for (int step = 1; step <= 70; ++step) EXPECT_NEAR(rate(step) - rate(step - 1), 0.01, 1e-12);
    EXPECT_DOUBLE_EQ(rate(70), 0.8);
    EXPECT_DOUBLE_EQ(rate(99), 0.8);
  }
}

struct ExpectedRates {
  const char* name;  // of torch.optim.lr_scheduler
  RateOptions options;
  std::vector<double> rates;
};

std::vector<ExpectedRates> rates_of_torch() {
  return {
      {"StepLR(3, 0.5)",
       {.lr = 0.4, .kind = RateKind::step, .step_every = 3, .step_factor = 0.5},
       {0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1}},
      {"LinearLR(1, 0.1, 8)",
       {.lr = 0.4, .kind = RateKind::linear, .final_fraction = 0.1},
       {0.4, 0.355, 0.31, 0.265, 0.22, 0.175, 0.13, 0.085}},
      {"PolynomialLR(8, 2.5)",
       {.lr = 0.4, .kind = RateKind::polynomial, .power = 2.5},
       {0.4, 0.2864706436748799, 0.1948557158514987, 0.12352647110032733, 0.07071067811865477,
        0.03444594950788845, 0.0125, 0.0022097086912079614}},
      {"CosineAnnealingLR(8, 0.04)",
       {.lr = 0.4, .kind = RateKind::cosine, .final_fraction = 0.1},
       {0.4, 0.3862983158520316, 0.3472792206135785, 0.2888830178257162, 0.22, 0.15111698217428385,
        0.09272077938642145, 0.05370168414796839}},
      {"LinearLR(0.25, 1, 5)",
       {.lr = 0.4, .warmup_steps = 5, .warmup_from = WarmupFrom::share, .warmup_share = 0.25},
       {0.1, 0.16, 0.22, 0.28, 0.34, 0.4, 0.4, 0.4}},
      {"SequentialLR(LinearLR(0.25, 1, 3), CosineAnnealingLR(5))",
       {.lr = 0.4,
        .kind = RateKind::cosine,
        .warmup_steps = 3,
        .warmup_from = WarmupFrom::share,
        .warmup_share = 0.25},
       {0.1, 0.2, 0.3, 0.4, 0.3618033988749895, 0.2618033988749895, 0.13819660112501053,
        0.03819660112501053}},
      {"OneCycleLR(0.4, 10)",
       {.lr = 0.4, .kind = RateKind::one_cycle},
       {0.016, 0.208, 0.4, 0.38019385280538953, 0.3246982615799052, 0.24450480877451572,
        0.1554967912254843, 0.0753033384200948, 0.019807747194610516, 1.6e-06}},
      {"OneCycleLR(0.4, 10, 0.25, linear, 10, 100)",
       {.lr = 0.4,
        .kind = RateKind::one_cycle,
        .rise = 0.25,
        .anneal = Anneal::linear,
        .start_divisor = 10,
        .end_divisor = 100},
       {0.04, 0.28, 0.37336, 0.32008, 0.2668, 0.21352, 0.16024, 0.10696, 0.05368, 0.0004}},
  };
}

TEST(Rate, SchedulesAreThoseOfTorch) {
  for (const ExpectedRates& expected : rates_of_torch()) {
    const auto total = static_cast<std::int64_t>(expected.rates.size());
    for (std::int64_t step = 0; step < total; ++step) {
      EXPECT_NEAR(rate_at(expected.options, step, {.total_steps = total}),
                  expected.rates[static_cast<std::size_t>(step)], 1e-15)
          << expected.name << " step " << step;
    }
  }
}

TEST(Rate, ACycleOfFewUpdatesHasARate) {
  RateOptions options{.lr = 1, .kind = RateKind::one_cycle};
  for (const double rise : {0.0, 0.5, 1.0}) {
    options.rise = rise;
    for (const std::int64_t total : {1, 2, 3}) {
      for (std::int64_t step = 0; step < total + 2; ++step) {
        const double rate = rate_at(options, step, {.total_steps = total});
        EXPECT_TRUE(rate > 0 && rate <= 1) << rise << " of " << total << " at " << step;
      }
    }
  }
}

TEST(Rate, NamesOptionsWithoutEffect) {
  RateOptions standard;
  RateOptions idle{.warmup_from = WarmupFrom::lr,
                   .warmup_share = 0.5,
                   .step_every = 3,
                   .step_factor = 0.5,
                   .power = 2,
                   .final_fraction = 0.1,
                   .rise = 0.2,
                   .anneal = Anneal::linear,
                   .start_divisor = 10,
                   .end_divisor = 10,
                   .base_batch = 32};
  EXPECT_THAT(idle_keys(entries(idle), entries(standard)),
              ElementsAre("warmup_from", "warmup_share", "lr_step_every", "lr_step_factor",
                          "lr_power", "lr_final_fraction", "lr_rise", "lr_anneal",
                          "lr_start_divisor", "lr_end_divisor", "lr_base_batch"));
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
  const RateOptions others{.kind = RateKind::one_cycle,
                           .warmup_steps = 3,
                           .warmup_share = -0.1,
                           .power = 0,
                           .rise = 1.5,
                           .start_divisor = 0,
                           .end_divisor = std::numeric_limits<double>::infinity(),
                           .base_batch = 0};
  EXPECT_THAT(others.problems(),
              ElementsAre(HasSubstr("rises by itself"), HasSubstr("warmup_share is -0.1"),
                          HasSubstr("lr_power is 0"), HasSubstr("lr_rise is 1.5"),
                          HasSubstr("lr_start_divisor is 0"), HasSubstr("lr_end_divisor is inf"),
                          HasSubstr("lr_base_batch is 0")));
  for (const double lr : {std::nan(""), std::numeric_limits<double>::infinity(), -1.0}) {
    EXPECT_THAT(RateOptions{.lr = lr}.problems(), ElementsAre(HasSubstr("lr is")));
  }
}

}  // namespace
}  // namespace shoal

// Updates against torch.optim's numbers and papers' formulas.
#include "shoal/optim/optimizer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace shoal {
namespace {

// What torch.optim (2.x, foreach=False, fused=False) makes of {1, -2, 0.5} in ten steps whose
// gradients are gradient_of_step(). float64 first.
struct Expected {
  const char* name;
  OptimizerOptions options;
  double rate;
  std::vector<double> in_double;
  std::vector<double> in_float;
};

std::vector<Expected> table_of_the_common_ones() {
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

std::vector<Expected> table_of_later_ones() {
  using Kind = OptimizerKind;
  return {
      {"adam, amsgrad",
       {.kind = Kind::adam, .amsgrad = true, .weight_decay = 0.1},
       0.05,
       {0.9472016282639155, -1.6930619379022123, 0.4014166186080952},
       {0.9472015500068665, -1.6930618286132812, 0.4014165997505188}},
      {"adamw, amsgrad",
       {.kind = Kind::adamw, .beta1 = 0.8, .beta2 = 0.9, .amsgrad = true, .weight_decay = 0.1},
       0.05,
       {0.9762892629447131, -1.7887987335082578, 0.41309298690791296},
       {0.9762893319129944, -1.7887986898422241, 0.4130930006504059}},
      {"rmsprop",
       {.kind = Kind::rmsprop},
       0.02,
       {1.068208289717008, -1.7854093447948327, 0.28755158334913283},
       {1.0682082176208496, -1.7854094505310059, 0.2875515818595886}},
      {"rmsprop, momentum",
       {.kind = Kind::rmsprop, .momentum = 0.8, .alpha = 0.9, .eps = 1e-6, .weight_decay = 0.05},
       0.02,
       {0.9404281363299807, -1.5061333542786666, 0.20596950764283833},
       {0.9404280781745911, -1.5061335563659668, 0.20596952736377716}},
      {"rmsprop, centered",
       {.kind = Kind::rmsprop, .alpha = 0.9, .centered = true},
       0.02,
       {1.0247160035197054, -1.9247349564281715, 0.42498637177270426},
       {1.0247159004211426, -1.9247349500656128, 0.42498642206192017}},
      {"rmsprop, centered, momentum",
       {.kind = Kind::rmsprop,
        .momentum = 0.5,
        .alpha = 0.95,
        .centered = true,
        .weight_decay = 0.1},
       0.02,
       {0.8827519053672694, -1.5151506892188864, 0.2603498338054658},
       {0.8827518224716187, -1.515150785446167, 0.260349839925766}},
      {"adagrad",
       {.kind = Kind::adagrad},
       0.1,
       {1.0339929123869538, -1.8928960246524964, 0.39463568772418406},
       {1.0339930057525635, -1.8928959369659424, 0.39463570713996887}},
      {"adagrad, falling",
       {.kind = Kind::adagrad,
        .lr_decay = 0.05,
        .initial_accumulator = 0.1,
        .eps = 1e-6,
        .weight_decay = 0.1},
       0.1,
       {0.9573642778942731, -1.7847378340546818, 0.423122206869945},
       {0.9573642611503601, -1.7847379446029663, 0.42312222719192505}},
  };
}

std::vector<Expected> table() {
  std::vector<Expected> all = table_of_the_common_ones();
  for (const Expected& expected : table_of_later_ones()) all.push_back(expected);
  return all;
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
                            double samples, bool decays = true) {
  std::vector<at::Tensor> parameters{at::empty({3}, type)};
  parameters[0][0] = 1.0;
  parameters[0][1] = -2.0;
  parameters[0][2] = 0.5;
  std::vector<std::vector<at::Tensor>> states{new_states(options, parameters[0])};
  EXPECT_EQ(states[0].size(), state_names(options).size());
  for (std::int64_t step = 0; step < 10; ++step) {
    std::vector<at::Tensor> gradients{gradient_of_step(step, type) * samples};
    update(options, parameters, gradients, states,
           {.rate = rate, .gradient_scale = 1 / samples, .count = step + 1, .decays = decays});
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

double norm(const std::vector<double>& v) {
  double sum = 0;
  for (const double element : v) sum += element * element;
  return std::sqrt(sum);
}

// You et al., ICLR 2020, algorithm 2, with phi(z) = z; the ratio is 1 where a norm is 0.
class LambOfThePaper {
 public:
  explicit LambOfThePaper(std::size_t size) : m_(size), v_(size) {}
  void update(const OptimizerOptions& o, double rate, const std::vector<double>& g,
              std::vector<double>& x) {
    ++t_;
    std::vector<double> step(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      m_[i] = o.beta1 * m_[i] + (1 - o.beta1) * g[i];
      v_[i] = o.beta2 * v_[i] + (1 - o.beta2) * g[i] * g[i];
      const double mean = m_[i] / (1 - std::pow(o.beta1, t_));
      const double square = v_[i] / (1 - std::pow(o.beta2, t_));
      step[i] = mean / (std::sqrt(square) + 1e-6) + o.weight_decay * x[i];
    }
    const double ratio = norm(x) > 0 && norm(step) > 0 ? norm(x) / norm(step) : 1;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= rate * ratio * step[i];
  }

 private:
  std::vector<double> m_, v_;
  int t_ = 0;
};

// You et al., arXiv 1708.03888, algorithm 1; the own rate is 1 where a norm is 0.
class LarsOfThePaper {
 public:
  explicit LarsOfThePaper(std::size_t size) : v_(size) {}
  void update(const OptimizerOptions& o, double rate, const std::vector<double>& g,
              std::vector<double>& x) {
    double own = 1;
    if (norm(x) > 0 && norm(g) > 0) {
      own = o.trust_coefficient * norm(x) / (norm(g) + o.weight_decay * norm(x));
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      v_[i] = o.momentum * v_[i] + rate * own * (g[i] + o.weight_decay * x[i]);
      x[i] -= v_[i];
    }
  }

 private:
  std::vector<double> v_;
};

// Two parameters of unlike norms, one of them in several chunks, and one that begins with zeros,
// as a bias does: largest differences from the paper's rule after six steps.
template <typename Paper>
std::vector<double> gaps_to_paper(const OptimizerOptions& options, double rate,
                                  at::ScalarType type) {
  const std::vector<std::int64_t> sizes{150'000, 40, 7};
  std::vector<at::Tensor> parameters;
  std::vector<std::vector<at::Tensor>> states;
  std::vector<std::vector<double>> expected;
  std::vector<Paper> papers;
  const auto wave = [](std::int64_t size, double phase) {
    return at::sin(at::arange(size, at::kDouble) * 0.7 + phase);
  };
  const auto numbers = [](const at::Tensor& tensor) {
    const at::Tensor wide = tensor.to(at::kDouble);
    return std::vector<double>(wide.const_data_ptr<double>(),
                               wide.const_data_ptr<double>() + wide.numel());
  };
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double size = i == 0 ? 0.05 : i == 1 ? 3.0 : 0.0;
    parameters.push_back((wave(sizes[i], 0.3) * size).to(type));
    states.push_back(new_states(options, parameters[i]));
    expected.push_back(numbers(parameters[i]));
    papers.emplace_back(expected[i].size());
  }
  for (int step = 0; step < 6; ++step) {
    std::vector<at::Tensor> gradients;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      gradients.push_back((wave(sizes[i], step) * 4).to(type));
      papers[i].update(options, rate, numbers(gradients[i] / 4), expected[i]);
    }
    update(options, parameters, gradients, states,
           {.rate = rate, .gradient_scale = 0.25, .count = step + 1});
  }
  std::vector<double> gaps;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::vector<double> found = numbers(parameters[i]);
    gaps.push_back(0);
    for (std::size_t j = 0; j < found.size(); ++j) {
      gaps.back() = std::max(gaps.back(), std::abs(found[j] - expected[i][j]));
    }
  }
  return gaps;
}

TEST(Optimizer, LambIsThatOfItsPaper) {
  for (const double decay : {0.0, 0.1}) {
    const OptimizerOptions options{.kind = OptimizerKind::lamb, .weight_decay = decay};
    EXPECT_THAT(gaps_to_paper<LambOfThePaper>(options, 0.02, at::kDouble),
                ::testing::Each(::testing::Lt(1e-12)));
    EXPECT_THAT(gaps_to_paper<LambOfThePaper>(options, 0.02, at::kFloat),
                ::testing::Each(::testing::Lt(2e-6)));
  }
}

TEST(Optimizer, LarsIsThatOfItsPaper) {
  for (const double decay : {0.0, 1e-2}) {
    const OptimizerOptions options{.kind = OptimizerKind::lars,
                                   .momentum = 0.9,
                                   .trust_coefficient = 0.02,
                                   .weight_decay = decay};
    EXPECT_THAT(gaps_to_paper<LarsOfThePaper>(options, 0.1, at::kDouble),
                ::testing::Each(::testing::Lt(1e-12)));
    EXPECT_THAT(gaps_to_paper<LarsOfThePaper>(options, 0.1, at::kFloat),
                ::testing::Each(::testing::Lt(2e-6)));
  }
}

TEST(Optimizer, ChunksAreTheWholeAndAnyLayoutServes) {
  for (const auto kind : {OptimizerKind::rmsprop, OptimizerKind::lamb, OptimizerKind::lars}) {
    const OptimizerOptions options{.kind = kind, .momentum = 0.5, .weight_decay = 0.1};
    const at::Tensor start = at::cos(at::arange(200'000, at::kDouble)).reshape({400, 500});
    const at::Tensor slope = at::sin(at::arange(200'000, at::kDouble)).reshape({400, 500});
    // The second one lies in memory by columns: it is updated in one piece.
    std::vector<at::Tensor> parameters{start.clone(), start.t().contiguous().t()};
    ASSERT_FALSE(parameters[1].is_contiguous());
    std::vector<std::vector<at::Tensor>> states{new_states(options, parameters[0]),
                                                new_states(options, parameters[1])};
    for (int step = 1; step <= 3; ++step) {
      std::vector<at::Tensor> gradients{slope.clone(), slope.clone()};
      update(options, parameters, gradients, states, {.rate = 0.1, .count = step});
    }
    EXPECT_FALSE(at::equal(parameters[0], start));
    EXPECT_LT((parameters[0] - parameters[1]).abs().max().item<double>(), 1e-14);
  }
}

// torch.optim with a second parameter group of weight_decay = 0, as in the table above.
TEST(Optimizer, WhatIsNotDecayedIsAGroupOfItsOwn) {
  struct Groups {
    OptimizerOptions options;
    double rate;
    std::vector<double> decayed, plain;
  };
  using Kind = OptimizerKind;
  const std::vector<Groups> groups{
      {{.kind = Kind::adamw, .weight_decay = 0.2},
       0.05,
       {0.9429320634211168, -1.6931230651097313, 0.4035563018717663},
       {1.0439077245803055, -1.8779878617018766, 0.4493943166587371}},
      {{.kind = Kind::sgd, .momentum = 0.9, .weight_decay = 0.2},
       0.1,
       {0.22735869635250375, -0.35422505075982935, 0.00020912975914801996},
       {0.9595913686874997, -1.6919596554, 0.3597974368874999}},
      {{.kind = Kind::rmsprop, .weight_decay = 0.2},
       0.02,
       {0.7586723386893757, -1.3250891802562321, 0.18592674385001406},
       {1.068208289717008, -1.7854093447948327, 0.28755158334913283}},
      {{.kind = Kind::adagrad, .weight_decay = 0.2},
       0.1,
       {0.873059727791596, -1.6430026344675752, 0.3298479635776132},
       {1.0339929123869538, -1.8928960246524964, 0.39463568772418406}}};
  for (const Groups& expected : groups) {
    for (const bool decays : {true, false}) {
      const auto found = trained(expected.options, expected.rate, at::kDouble, 4, decays);
      for (int i = 0; i < 3; ++i) {
        EXPECT_NEAR(found[i], (decays ? expected.decayed : expected.plain)[i], 1e-12);
      }
    }
  }
}

TEST(Optimizer, LambAndLarsGiveThePlainRateToWhatIsNotDecayed) {
  for (const auto kind : {OptimizerKind::lamb, OptimizerKind::lars}) {
    const OptimizerOptions options{
        .kind = kind, .beta1 = 0, .beta2 = 0, .eps = 1e-12, .weight_decay = 0.5};
    std::vector<at::Tensor> parameters{at::full({4}, 3.0, at::kDouble)};
    std::vector<at::Tensor> gradients{at::full({4}, 2.0, at::kDouble)};
    std::vector<std::vector<at::Tensor>> states{new_states(options, parameters[0])};
    update(options, parameters, gradients, states, {.rate = 0.1, .decays = false});
    // Of LAMB the sign remains with these betas, of LARS the gradient.
    const double step = kind == OptimizerKind::lamb ? 0.1 : 0.2;
    EXPECT_NEAR(parameters[0][2].item<double>(), 3.0 - step, 1e-9);
  }
}

TEST(Optimizer, SquaredNormIsThatOfTheWhole) {
  const at::Tensor many = at::full({300'001}, 0.1, at::kFloat);
  const double element = 0.1F;
  EXPECT_NEAR(squared_norm(many), 300'001 * element * element, 1e-8);
  EXPECT_EQ(squared_norm(at::zeros({0})), 0);
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

}  // namespace
}  // namespace shoal

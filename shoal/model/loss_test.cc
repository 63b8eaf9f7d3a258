// Losses are sums that parts add up to, with the means of torch's functions.
#include "shoal/model/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/model/test_blocks.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;
using testing::refusal;

std::string refused_shapes(LossKind kind, const at::Tensor& output, const at::Tensor& targets) {
  try {
    loss_sums(kind, output, targets, false);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "";
}

TEST(LossSums, CrossEntropyIsASumWithAWeight) {
  const at::Tensor logits = torch::tensor({{2.0, 0.0, 0.0}, {0.0, 1.0, 0.0}}, at::kDouble);
  const auto sums = loss_sums(LossKind::cross_entropy, logits, torch::tensor({0, 2}), true);
  const double first = std::log(std::exp(2.0) + 2) - 2;
  const double second = std::log(std::exp(1.0) + 2);
  EXPECT_NEAR(sums.loss.item<double>(), first + second, 1e-12);
  EXPECT_EQ(sums.weight, 2);
  EXPECT_EQ(sums.correct, 1);
  const auto bytes =
      loss_sums(LossKind::cross_entropy, logits, torch::tensor({0, 2}).to(at::kByte), false);
  EXPECT_EQ(bytes.loss.item<double>(), sums.loss.item<double>());
}

TEST(LossSums, PartsAddUpAndMayBeEmpty) {
  const at::Tensor logits = torch::rand({5, 4}, at::kDouble);
  const at::Tensor labels = torch::tensor({0, 1, 2, 3, 0});
  const auto part = [&](int begin, int end) {
    return loss_sums(LossKind::cross_entropy, logits.slice(0, begin, end),
                     labels.slice(0, begin, end), true);
  };
  const auto all = part(0, 5);
  EXPECT_NEAR(part(0, 2).loss.item<double>() + part(2, 5).loss.item<double>(),
              all.loss.item<double>(), 1e-12);
  EXPECT_EQ(part(0, 2).correct + part(2, 5).correct, all.correct);
  EXPECT_EQ(part(0, 0).loss.item<double>(), 0);
  EXPECT_EQ(part(0, 0).weight, 0);
}

TEST(LossSums, OfMixturesIsTheSumByShares) {
  const at::Tensor logits =
      torch::tensor({{2.0, 0.0, 0.5}, {0.0, 1.0, 3.0}, {0.3, 0.2, 0.1}}, at::kDouble)
          .requires_grad_(true);
  const at::Tensor own = torch::tensor({0, 0, 1});
  const at::Tensor other = torch::tensor({1, 2, 1});
  const auto plain = [&](const at::Tensor& labels, int row) {
    return loss_sums(LossKind::cross_entropy, logits.slice(0, row, row + 1),
                     labels.slice(0, row, row + 1), false)
        .loss.item<double>();
  };
  const std::vector<double> shares{0.75, 0.25, 0.5};
  const auto mixed = loss_sums(LossKind::cross_entropy, logits, own, true, {},
                               {.classes = other, .shares = torch::tensor(shares, at::kDouble)});
  double expected = 0;
  for (int row = 0; row < 3; ++row) {
    const double share = shares[static_cast<std::size_t>(row)];
    expected += share * plain(own, row) + (1 - share) * plain(other, row);
  }
  EXPECT_NEAR(mixed.loss.item<double>(), expected, 1e-12);
  EXPECT_EQ(mixed.weight, 3);
  // The larger share of the first is class 0, of the second class 2; the third has class 1 only.
  EXPECT_EQ(mixed.correct, 2);
  mixed.loss.backward();
  // The gradient is softmax - shares.
  const at::Tensor wanted = at::zeros({3, 3}, at::kDouble);
  const double targets[3][3] = {{0.75, 0.25, 0}, {0.25, 0, 0.75}, {0, 1, 0}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) wanted[i][j] = targets[i][j];
  }
  EXPECT_TRUE(at::allclose(logits.grad(), at::softmax(logits.detach(), 1) - wanted));
}

TEST(LossSums, OfMixturesWeighsBothClasses) {
  const at::Tensor logits = torch::tensor({{2.0, 0.0}}, at::kDouble);
  const LossForm form{.label_smoothing = 0, .class_weights = {1.0, 3.0}, .huber_delta = 1};
  const auto alone = [&](int label) {
    return loss_sums(LossKind::cross_entropy, logits, torch::tensor({label}), false, form);
  };
  const auto mixed = loss_sums(LossKind::cross_entropy, logits, torch::tensor({0}), false, form,
                               {.classes = torch::tensor({1}), .shares = torch::tensor({0.25})});
  EXPECT_NEAR(mixed.weight, 0.25 * 1 + 0.75 * 3, 1e-12);
  EXPECT_NEAR(mixed.loss.item<double>(),
              0.25 * alone(0).loss.item<double>() + 0.75 * alone(1).loss.item<double>(), 1e-12);
}

// Torch's mean is over samples and labels: the sum over the labels of a sample is so many times it.
TEST(LossSums, BinaryCrossEntropyIsTorchsTimesTheLabels) {
  namespace F = torch::nn::functional;
  const at::Tensor logits =
      torch::tensor({{1.5, -0.5, 0.0}, {-2.0, 3.0, 0.1}}, at::kDouble).requires_grad_(true);
  const at::Tensor labels = torch::tensor({{1.0, 0.0, 0.0}, {1.0, 1.0, 0.0}}, at::kDouble);
  const std::vector<double> pos_weight{0.5, 2, 7};
  for (const bool weighted : {false, true}) {
    const LossForm form{.pos_weight = weighted ? pos_weight : std::vector<double>()};
    const auto sums = loss_sums(LossKind::binary_cross_entropy, logits, labels, true, form);
    auto options = F::BinaryCrossEntropyWithLogitsFuncOptions();
    if (weighted) options.pos_weight(torch::tensor(pos_weight, at::kDouble));
    const at::Tensor torchs = F::binary_cross_entropy_with_logits(logits, labels, options);
    EXPECT_NEAR(sums.loss.item<double>() / sums.weight, 3 * torchs.item<double>(), 1e-12);
    const auto own = torch::autograd::grad({sums.loss / sums.weight}, {logits}).at(0);
    const auto expected = torch::autograd::grad({3 * torchs}, {logits}).at(0);
    EXPECT_TRUE(at::allclose(own, expected, 1e-12, 1e-12));
    EXPECT_EQ(sums.weight, 2);
    EXPECT_EQ(sums.correct, 4);  // 1.5, -0.5, 3.0; and 0.0, a probability of 1/2, answers 0
  }
  const auto part = [&](int begin, int end) {
    return loss_sums(LossKind::binary_cross_entropy, logits.slice(0, begin, end),
                     labels.slice(0, begin, end), true, {.pos_weight = pos_weight});
  };
  EXPECT_NEAR(part(0, 1).loss.item<double>() + part(1, 2).loss.item<double>(),
              part(0, 2).loss.item<double>(), 1e-12);
  EXPECT_EQ(part(0, 0).weight, 0);
  EXPECT_THAT(refused_shapes(LossKind::binary_cross_entropy, logits, labels.slice(1, 0, 2)),
              HasSubstr("binary_cross_entropy takes targets of the output's shape"));
}

TEST(LossSums, BinaryCrossEntropyIsFiniteForLargeLogits) {
  const auto sums = loss_sums(LossKind::binary_cross_entropy, torch::tensor({1e4F, -1e4F, 1e4F}),
                              torch::tensor({1.0F, 0.0F, 0.0F}), false);
  EXPECT_FLOAT_EQ(sums.loss.item<float>(), 1e4F);
}

TEST(LossSums, CrossEntropyIsOverAllPositions) {
  namespace F = torch::nn::functional;
  const at::Tensor logits =
      at::sin(at::arange(2 * 3 * 4, at::kDouble)).reshape({2, 3, 4}).requires_grad_(true);
  const at::Tensor labels = torch::tensor({{0, 3, 1}, {2, 2, 0}});
  const LossForm form{.label_smoothing = 0.1, .class_weights = {1, 2, 0.5, 3}};
  for (const bool formed : {false, true}) {
    auto options = F::CrossEntropyFuncOptions();
    if (formed) {
      options.label_smoothing(0.1).weight(torch::tensor(form.class_weights, at::kDouble));
    }
    const auto sums =
        loss_sums(LossKind::cross_entropy, logits, labels, true, formed ? form : LossForm());
    const at::Tensor torchs = F::cross_entropy(logits.flatten(0, 1), labels.flatten(), options);
    EXPECT_NEAR(sums.loss.item<double>() / sums.weight, torchs.item<double>(), 1e-12);
    EXPECT_EQ(sums.weight, formed ? 1 + 3 + 2 + 0.5 + 0.5 + 1 : 6);
    EXPECT_EQ(sums.correct, logits.argmax(2).eq(labels).sum().item<std::int64_t>());
    EXPECT_TRUE(at::allclose(torch::autograd::grad({sums.loss / sums.weight}, {logits}).at(0),
                             torch::autograd::grad({torchs}, {logits}).at(0), 1e-12, 1e-12));
  }
  EXPECT_THAT(refused_shapes(LossKind::cross_entropy, logits, labels.slice(1, 0, 2)),
              HasSubstr("takes [samples, ..., classes] and [samples, ...], not [2, 3, 4] and"));
}

TEST(LossSums, OfMixturesNeedsClasses) {
  EXPECT_THAT(refusal([] {
                loss_sums(LossKind::mean_squared, at::zeros({2, 1}), at::zeros({2}), false, {},
                          {.classes = at::zeros({2}, at::kLong), .shares = at::ones({2})});
              }),
              HasSubstr("mixtures of classes: set [augment] mixup = 0"));
}

TEST(LossSums, MeanSquaredSumsOverColumnsAndTakesARowOfTargets) {
  const at::Tensor output = torch::tensor({{1.0F}, {3.0F}});
  const auto sums =
      loss_sums(LossKind::mean_squared, output, torch::tensor({0.0, 1.0}, at::kDouble), true);
  EXPECT_EQ(sums.loss.item<float>(), 5);
  EXPECT_EQ(sums.weight, 2);
  EXPECT_EQ(sums.correct, 0);
  const auto wide = loss_sums(LossKind::mean_squared, at::ones({2, 3}), at::zeros({2, 3}), false);
  EXPECT_EQ(wide.loss.item<float>(), 6);
}

TEST(LossSums, OfHalfTypesIsInFloat32) {
  const auto sums = loss_sums(LossKind::cross_entropy, at::zeros({300, 10}, at::kBFloat16),
                              at::zeros({300}, at::kLong), false);
  EXPECT_EQ(sums.loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(sums.loss.item<float>(), 300 * std::log(10.0), 1e-2);
}

TEST(LossSums, RefusesShapesThatDoNotMeet) {
  EXPECT_THAT(refused_shapes(LossKind::cross_entropy, at::zeros({2, 3}), at::zeros({3})),
              HasSubstr("[2, 3] and [3]"));
  for (const auto kind : {LossKind::mean_squared, LossKind::mean_absolute, LossKind::huber}) {
    EXPECT_THAT(refused_shapes(kind, at::zeros({2, 3}), at::zeros({2})),
                HasSubstr("[2, 3] and [2]"));
  }
}

// What torch.nn.functional (2.x) gives for the mean and its gradient, in float64.
struct MeanOfTorch {
  const char* name;
  LossKind kind;
  LossForm form;
  double mean;
  std::vector<double> gradient;
};

std::vector<MeanOfTorch> means_of_torch() {
  return {
      {"cross_entropy(label_smoothing=0.1)",
       LossKind::cross_entropy,
       {.label_smoothing = 0.1},
       0.9509754849782638,
       {-0.022384649712998472, 0.020215466512815285, 0.002169183200183179, 0.03824759747312856,
        0.11828676443058017, -0.15653436190370873, 0.018057783319906727, -0.161594840502088,
        0.1435370571821813, -0.14336646650250018, 0.08163353349749981, 0.06173293300500032}},
      {"cross_entropy(weight)",
       LossKind::cross_entropy,
       {.class_weights = {0.5, 2, 3}},
       1.1056014436681536,
       {-0.013017105459888378, 0.009516266615382872, 0.0035008388445055038, 0.09316186161292378,
        0.253240195527827, -0.3464020571407508, 0.03518815553765341, -0.23768200955833957,
        0.20249385402068615, -0.053344377723055614, 0.029988955610277715, 0.023355422112777885}},
      {"cross_entropy(weight, label_smoothing=0.2)",
       LossKind::cross_entropy,
       {.label_smoothing = 0.2, .class_weights = {0.5, 2, 3}},
       1.2307381253366172,
       {0.03559599385039337, -0.007630613411968485, -0.027965380438424895, 0.08036038348747415,
        0.21132151365344048, -0.29168189714091464, 0.02904613072313696, -0.19483175384347834,
        0.16578562312034137, -0.026239156953129724, 0.02376084304687027, 0.0024783139062594215}},
      {"l1_loss", LossKind::mean_absolute, {}, 0.9375, {0.25, 0.25, -0.25, -0.25}},
      {"huber_loss", LossKind::huber, {}, 0.5390625, {0.25, 0.25, -0.125, -0.0625}},
      {"huber_loss(delta=0.3)",
       LossKind::huber,
       {.huber_delta = 0.3},
       0.2365625,
       {0.075, 0.075, -0.075, -0.0625}},
  };
}

// In two parts of 1 and 3 samples, as two workers have them.
TEST(LossSums, PartsHaveTheMeanAndGradientOfTorch) {
  const at::Tensor logits = torch::tensor(
      {{2.0, 0.0, -1.0}, {0.0, 1.0, 0.5}, {-0.25, 0.75, 1.5}, {0.5, 0.5, 0.25}}, at::kDouble);
  const at::Tensor labels = torch::tensor({0, 2, 1, 0});
  const at::Tensor numbers = torch::tensor({{1.0}, {3.0}, {-2.0}, {0.25}}, at::kDouble);
  const at::Tensor wanted = torch::tensor({0.0, 1.0, -1.5, 0.5}, at::kDouble);
  for (const MeanOfTorch& expected : means_of_torch()) {
    const bool classifies = expected.kind == LossKind::cross_entropy;
    at::Tensor output = (classifies ? logits : numbers).clone().requires_grad_(true);
    const at::Tensor targets = classifies ? labels : wanted;
    double sum = 0, weight = 0;
    for (const auto& [begin, end] : {std::pair{0, 1}, std::pair{1, 4}}) {
      const LossSums part = loss_sums(expected.kind, output.slice(0, begin, end),
                                      targets.slice(0, begin, end), false, expected.form);
      part.loss.backward();
      sum += part.loss.item<double>();
      weight += part.weight;
    }
    EXPECT_NEAR(sum / weight, expected.mean, 1e-14) << expected.name;
    const at::Tensor gradient =
        torch::tensor(expected.gradient, at::kDouble).reshape(output.sizes());
    EXPECT_LT((output.grad() / weight - gradient).abs().max().item<double>(), 1e-14)
        << expected.name;
  }
}

TEST(LossSums, AnEmptyPartWeighsNothing) {
  const LossForm form{.label_smoothing = 0.1, .class_weights = {1, 2, 3}};
  const auto none =
      loss_sums(LossKind::cross_entropy, at::zeros({0, 3}), at::zeros({0}, at::kLong), true, form);
  EXPECT_EQ(none.loss.item<float>(), 0);
  EXPECT_EQ(none.weight, 0);
}

}  // namespace
}  // namespace shoal

// Metrics against numbers worked out by hand, and in parts against the whole.

#include "shoal/train/metrics.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shoal/core/error.h"
#include "shoal/train/test_jobs.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

at::Tensor matrix(const std::vector<double>& numbers, std::int64_t columns) {
  return at::tensor(numbers, at::kDouble).reshape({-1, columns});
}

double counted(const std::string& name, std::int64_t classes, const at::Tensor& output,
               const at::Tensor& targets) {
  MetricCounts counts({name}, {.classes = classes}, output.size(0), 1);
  counts.add(0, 0, output, targets);
  return counts.results().at(0).second;
}

TEST(Metrics, TopKCountsClassesAmongTheLargest) {
  const at::Tensor output = matrix({5, 4, 3, 2, /**/ 1, 2, 3, 4, /**/ 2, 2, 2, 2}, 4);
  const auto labels = at::tensor({1, 0, 2}, at::kLong);
  EXPECT_DOUBLE_EQ(counted("top1", 4, output, labels), 0.0);
  EXPECT_DOUBLE_EQ(counted("top2", 4, output, labels), 1.0 / 3);
  EXPECT_DOUBLE_EQ(counted("top3", 4, output, labels),
                   2.0 / 3);  // of equal ones 0, 1, 2 come first
}

// Labels 0 0 1 1 2, answers 0 1 1 1 0; class 3 is nowhere. Class 0: 2 1/(2+2), 1: 2 2/(3+2), 2: 0.
TEST(Metrics, F1IsTheMeanOverClassesThatAreThere) {
  const at::Tensor output = at::one_hot(at::tensor({0, 1, 1, 1, 0}, at::kLong), 4).to(at::kDouble);
  const auto labels = at::tensor({0, 0, 1, 1, 2}, at::kLong);
  EXPECT_DOUBLE_EQ(counted("f1", 4, output, labels), (0.5 + 0.8 + 0) / 3);
}

// Scores .1 .4 .35 .8 of labels 0 0 1 1: three of four pairs are in order.
TEST(Metrics, AucIsTheShareOfPairsInOrder) {
  const auto labels = at::tensor({0, 0, 1, 1}, at::kLong);
  EXPECT_DOUBLE_EQ(counted("auc", 2, matrix({0, .1, 0, .4, 0, .35, 0, .8}, 2), labels), 0.75);
  EXPECT_DOUBLE_EQ(counted("auc", 2, matrix({0, .5, 0, .5, 0, .5, 0, .5}, 2), labels), 0.5);
  EXPECT_DOUBLE_EQ(counted("auc", 2, matrix({1, 0, 0, 1, 0, 1, 0, 2}, 2), labels),
                   (0.5 + 1 + 1 + 1) / 4);
  EXPECT_TRUE(
      std::isnan(counted("auc", 2, matrix({0, 1, 0, 2}, 2), at::tensor({1, 1}, at::kLong))));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(
      std::isnan(counted("auc", 2, matrix({0, nan, 0, 2}, 2), at::tensor({0, 1}, at::kLong))));
}

TEST(Metrics, ErrorsOfNumbersAreOverAllOfThem) {
  const at::Tensor output = matrix({1, 3, -2, 0.5}, 1);
  const auto wanted = at::tensor({0.0, 1.0, -2.0, 1.5}, at::kDouble);
  EXPECT_DOUBLE_EQ(counted("rmse", 0, output, wanted), std::sqrt((1.0 + 4 + 0 + 1) / 4));
  EXPECT_DOUBLE_EQ(counted("mae", 0, output, wanted), 1.0);
}

// Of three labels four samples, two of which are answered right in all of them. Label 0: hits 2,
// answers 3, samples 2; 1: 2, 2, 2; 2: 1, 2, 1; label 3 of the last case is nowhere.
TEST(Metrics, OfLabelsAreOverLabels) {
  const AnswerForm form{.yes_or_no = true, .shape = {3}};
  const at::Tensor output = matrix({1, -1, 2, /**/ -2, 1, 1, /**/ 3, -1, -1, /**/ 1, 2, -3}, 3);
  const at::Tensor labels = matrix({1, 0, 1, /**/ 0, 1, 0, /**/ 0, 0, 0, /**/ 1, 1, 0}, 3);
  const auto of = [&](const std::string& name) {
    MetricCounts counts({name}, form, 4, 1);
    counts.add(0, 0, output, labels);
    return counts.results().at(0).second;
  };
  EXPECT_DOUBLE_EQ(of("exact_match"), 0.5);
  EXPECT_DOUBLE_EQ(of("f1"), (4.0 / 5 + 1 + 2.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(of("f1_micro"), 2 * 5.0 / (7 + 5));
  EXPECT_DOUBLE_EQ(of("auc"), (0.5 + 1 + 1) / 3);
  MetricCounts nowhere({"f1", "auc"}, {.yes_or_no = true}, 2, 1);
  nowhere.add(0, 0, matrix({-1, -2}, 1), matrix({0, 0}, 1));
  EXPECT_EQ(nowhere.results().at(0).second, 0);
  EXPECT_TRUE(std::isnan(nowhere.results().at(1).second));
}

// Three batches on two ranks, added up as an all-reduce does: the bits of one rank.
TEST(Metrics, PartsAddUpToTheWholeToTheBit) {
  const std::vector<std::string> names{"top1", "f1", "auc"};
  const at::Tensor output = at::sin(at::arange(14, at::kDouble) * 1.7).reshape({7, 2});
  const auto labels = at::tensor({0, 1, 1, 0, 1, 0, 0}, at::kLong);
  MetricCounts whole(names, {.classes = 2}, 7, 3), first(names, {.classes = 2}, 7, 3),
      second(names, {.classes = 2}, 7, 3);
  const auto add = [&](MetricCounts& counts, std::int64_t batch, std::int64_t begin,
                       std::int64_t end) {
    counts.add(batch, begin, output.slice(0, begin, end), labels.slice(0, begin, end));
  };
  for (MetricCounts* counts : {&whole, &first}) add(*counts, 0, 0, 3);
  for (MetricCounts* counts : {&whole, &second}) add(*counts, 1, 3, 6);
  for (MetricCounts* counts : {&whole, &first}) add(*counts, 2, 6, 7);
  for (std::size_t i = 0; i < first.numbers().size(); ++i) {
    first.numbers()[i] += second.numbers()[i];
  }
  EXPECT_EQ(first.results(), whole.results());
  EXPECT_EQ(whole.results().at(1).first, "f1");
}

std::vector<std::pair<std::string, double>> evaluated(const Settings& settings, int workers) {
  return run(settings, workers).evaluations.back().metrics;
}

// After no training worth the name: weights are the same bits then, whatever the workers.
TEST(Metrics, OfAnEvaluationAreTheSerialOnesToTheBit) {
  const std::vector<Settings> jobs{
      {"train.metrics=[\"top3\", \"f1\"]"},
      {"train.metrics=[\"auc\", \"f1\", \"top1\"]", "data.classes=2",
       "model.layers=[\"flatten\", {linear = 2}]"},
      {"train.metrics=[\"rmse\", \"mae\"]", "data.task=regression",
       "model.layers=[\"flatten\", {linear = 1}]"},
  };
  for (Settings settings : jobs) {
    settings.insert(settings.end(), {"train.steps=1", "train.lr=1e-300"});
    const auto expected = evaluated(settings, 1);
    ASSERT_FALSE(expected.empty());
    for (const auto& [name, value] : expected) EXPECT_GT(value, 0) << name;
    for (const int workers : {2, 3, 5}) EXPECT_EQ(evaluated(settings, workers), expected);
    settings.insert(settings.end(), {"parallel.mesh={pipe=2, data=2}"});
    if (settings[0].find("top3") != std::string::npos) {
      EXPECT_EQ(evaluated(settings, 4), expected);
    }
  }
}

TEST(Metrics, AreRefusedBesideOtherData) {
  try {
    prepared({"train.metrics=[\"rmse\"]"}, 1);
    FAIL() << "there are classes";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"rmse\", which is for numbers to predict"));
  }
}

TEST(Metrics, SaysWhichAnswersTheyAreFor) {
  const std::vector<std::string> all{"top2", "f1", "f1_micro", "auc", "exact_match", "rmse"};
  EXPECT_THAT(metric_problems(all, {.yes_or_no = true, .shape = {3}}),
              ElementsAre(HasSubstr("\"top2\", which is for classes, and the data has 3 labels"),
                          HasSubstr("\"rmse\", which is for numbers")));
  EXPECT_THAT(metric_problems(all, {.shape = {2}}),
              ElementsAre(HasSubstr("\"top2\""), HasSubstr("\"f1\", which is for classes"),
                          HasSubstr("\"f1_micro\", which is for labels of 0 and 1"),
                          HasSubstr("\"auc\""), HasSubstr("\"exact_match\"")));
  EXPECT_THAT(
      metric_problems(all, {.classes = 2}),
      ElementsAre(HasSubstr("\"top2\", which every answer meets"), HasSubstr("\"f1_micro\""),
                  HasSubstr("\"exact_match\""), HasSubstr("\"rmse\"")));
}

TEST(Metrics, NamesWhatDoesNotFit) {
  EXPECT_THAT(metric_problems({"top5", "f1", "auc", "rmse", "mae"}), IsEmpty());
  EXPECT_THAT(metric_problems({"top", "top0", "topx", "f2"}),
              ElementsAre(HasSubstr("\"top\""), HasSubstr("\"top0\""), HasSubstr("\"topx\""),
                          HasSubstr("\"f2\", meant is \"f1\"?")));
  EXPECT_THAT(metric_problems({"top5", "f1", "auc", "rmse"}, AnswerForm{.classes = 10}),
              ElementsAre(HasSubstr("\"auc\", which is for 2 classes"),
                          HasSubstr("\"rmse\", which is for numbers")));
  EXPECT_THAT(metric_problems({"top5", "mae"}, AnswerForm{}), ElementsAre(HasSubstr("\"top5\"")));
  EXPECT_THAT(metric_problems({"top2", "auc"}, AnswerForm{.classes = 2}),
              ElementsAre(HasSubstr("\"top2\"")));
}

}  // namespace
}  // namespace shoal

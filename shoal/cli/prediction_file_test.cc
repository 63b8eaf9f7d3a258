#include "shoal/cli/prediction_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "shoal/checkpoint/npy.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

std::string prediction_path() {
  static const TempFolder folder;
  return folder / "predictions";
}

// Probabilities 1/4, 1/2, 1/4: the first of two equal classes goes first.
at::Tensor three_classes() {
  return at::tensor({1.0, 2.0, 1.0}, at::kDouble).reshape({1, 3}).log();
}

TEST(PredictionFile, CsvNamesTheMostProbableClasses) {
  DatasetFacts data;
  data.answers.classes = 3;
  data.answer_names = {"cat", "a \"big\", dog", "eel"};
  const auto one = csv_predictions(prediction_path(), data, 1);
  one->add(three_classes());
  one->add(three_classes());
  std::filesystem::remove(prediction_path());
  one->finish();
  EXPECT_EQ(read_file(prediction_path()),
            "sample,label,probability\n0,\"a \"\"big\"\", dog\",0.500000\n"
            "1,\"a \"\"big\"\", dog\",0.500000\n");
  data.answer_names.clear();
  const auto all = csv_predictions(prediction_path(), data, 3);
  all->add(three_classes());
  all->finish();
  EXPECT_EQ(read_file(prediction_path()),
            "sample,label_1,probability_1,label_2,probability_2,label_3,probability_3\n"
            "0,1,0.500000,0,0.250000,2,0.250000\n");
  EXPECT_THROW(csv_predictions("", data, 4), InvalidInput);
  EXPECT_THROW(csv_predictions("", data, 0), InvalidInput);
}

TEST(PredictionFile, CsvOfNumbersToPredict) {
  const auto writer = csv_predictions(prediction_path(), {}, 1);
  writer->add(at::tensor({1.5, -2.0}, at::kDouble).reshape({2, 1}));
  writer->finish();
  EXPECT_EQ(read_file(prediction_path()), "sample,prediction\n0,1.5\n1,-2\n");
}

TEST(PredictionFile, CsvOfPositionsHasTheLastOne) {
  DatasetFacts data;
  data.answers = {.classes = 3, .shape = {2}};
  data.answer_names = {"\n", "a", "b"};
  const auto writer = csv_predictions(prediction_path(), data, 1);
  writer->add(at::stack({three_classes().flip(1).roll(1, 1), three_classes()}, 1));
  writer->finish();
  EXPECT_EQ(read_file(prediction_path()), "sample,label,probability\n0,a,0.500000\n");
}

TEST(PredictionFile, CsvOfSeveralColumns) {
  DatasetFacts data;
  data.answers = {.yes_or_no = true, .shape = {2}};
  data.answer_names = {"red", "a, b"};
  const auto labels = csv_predictions(prediction_path(), data, 1);
  labels->add(at::tensor({0.0, std::log(3.0)}, at::kDouble).reshape({1, 2}));
  labels->finish();
  EXPECT_EQ(read_file(prediction_path()), "sample,red,\"a, b\"\n0,0.500000,0.750000\n");
  data.answers.yes_or_no = false;
  data.answer_names.clear();
  const auto numbers = csv_predictions(prediction_path(), data, 1);
  numbers->add(at::tensor({1.5, -2.0}, at::kDouble).reshape({1, 2}));
  numbers->finish();
  EXPECT_EQ(read_file(prediction_path()), "sample,0,1\n0,1.5,-2\n");
  EXPECT_THROW(csv_predictions("", data, 2), InvalidInput);
}

TEST(PredictionFile, NpyHasTheOutputsThemselves) {
  const auto writer = npy_predictions(prediction_path(), 3);
  const at::Tensor outputs = at::arange(6, at::kFloat).reshape({3, 2});
  writer->add(outputs.narrow(0, 0, 2));
  writer->add(outputs.narrow(0, 2, 1));
  writer->finish();
  EXPECT_TRUE(at::equal(read_npy_tensor(prediction_path()), outputs));
}

TEST(PredictionFile, WhatIsNotFinishedIsNotThere) {
  std::filesystem::remove(prediction_path());
  {
    const auto writer = csv_predictions(prediction_path(), {}, 1);
    writer->add(at::ones({4, 1}));
  }
  EXPECT_FALSE(std::filesystem::exists(prediction_path()));
}

}  // namespace
}  // namespace shoal

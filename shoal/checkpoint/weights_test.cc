#include "shoal/checkpoint/weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "shoal/checkpoint/npy.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A checkpoint of two parameters, a buffer and a state; its folder is removed at the end.
class SavedWeights : public testing::Test {
 protected:
  SavedWeights() {
    run_ranks(1, {}, [&](World& world) {
      CheckpointWriter writer({.path = (folder_ / "run").string()}, 0, 1);
      writer.begin(7,
                   {{"a.weight", "parameter", weight_, {0}},
                    {"a.bias", "parameter", at::ones({2}), {0}},
                    {"a.mean", "buffer", at::full({2}, 3.0), {0}},
                    {"a.weight#momentum", "optimizer", at::zeros({2, 3}), {0}}},
                   nlohmann::json::object());
      const Deadline soon = Deadline::after_seconds(20);
      writer.finish(*world.form_group("all", {0}, soon), soon);
    });
  }

  std::filesystem::path checkpoint() const { return folder_ / "run" / "step-00000007"; }

  const at::Tensor weight_ = at::arange(6, at::kFloat).reshape({2, 3});
  TempFolder folder_;
};

void expect_same(const Weights& weights, const at::Tensor& weight) {
  EXPECT_THAT(weights.names(), ElementsAre("a.bias", "a.mean", "a.weight"));
  EXPECT_THAT(weights.shape("a.weight"), ElementsAre(2, 3));
  EXPECT_TRUE(at::equal(weights.tensor("a.weight"), weight));
  EXPECT_TRUE(at::equal(weights.tensor("a.mean"), at::full({2}, 3.0)));
  EXPECT_THROW(weights.tensor("b"), InvalidInput);
}

TEST_F(SavedWeights, AreTheSameInEveryFormWithoutStatesOfTheOptimizer) {
  expect_same(Weights(checkpoint()), weight_);
  export_safetensors(Checkpoint(checkpoint()), folder_ / "w.safetensors");
  expect_same(Weights(folder_ / "w.safetensors"), weight_);
  export_npy(Checkpoint(checkpoint()), folder_ / "npy");
  expect_same(Weights(folder_ / "npy"), weight_);
  EXPECT_THROW(export_npy(Checkpoint(checkpoint()), folder_ / "npy"), InvalidInput);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path().filename().string().find(".tmp."), std::string::npos);
  }
}

TEST_F(SavedWeights, AreConvertedToTheModelsPrecision) {
  std::vector<PersistentTensor> tensors{
      {"a.weight", "parameter", at::zeros({2, 3}, at::kDouble), {0}}};
  load(Weights(checkpoint()), tensors);
  EXPECT_TRUE(at::equal(tensors[0].tensor, weight_.to(at::kDouble)));
  tensors[0].tensor = at::zeros({2, 3}, at::kLong);
  EXPECT_THROW(load(Weights(checkpoint()), tensors), InvalidInput);
}

TEST_F(SavedWeights, ThatDoNotFitAreNamed) {
  const Weights weights(checkpoint());
  const Shapes model{{"a.weight", {2, 3}}, {"a.bias", {2}}, {"a.mean", {2}}};
  EXPECT_THAT(problems_of(weights, model), ElementsAre());
  EXPECT_THAT(problems_of(weights, {{"a.weight", {3, 2}}, {"a.bias", {2}}, {"b", {1}}}),
              ElementsAre(HasSubstr("its 'a.weight' is [2, 3], the model's is [3, 2]"),
                          HasSubstr("it lacks 'b', which the model has"),
                          HasSubstr("it has 'a.mean', which the model lacks")));
  Shapes many = model;
  for (int i = 0; i < 20; ++i) many[fmt::format("b{:02}", i)] = {1};
  EXPECT_THAT(problems_of(weights, many),
              ElementsAre(AllOf(HasSubstr("'b07' and 12 more"), Not(HasSubstr("b08")))));
}

TEST_F(SavedWeights, WhatIsNoneIsRefused) {
  EXPECT_THROW(Weights("/nowhere/at/all"), InvalidInput);
  EXPECT_THROW(Weights(folder_ / "run"), InvalidInput);  // no folder of files
  std::ofstream(folder_ / "text.safetensors") << "not a tensor";
  EXPECT_THROW(Weights(folder_ / "text.safetensors"), Corrupt);
}

}  // namespace
}  // namespace shoal

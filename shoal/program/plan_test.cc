#include "shoal/program/plan.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Plan, RefusesToSplitWhatBlocksHoldWhole) {
  Plan plan;
  plan.mesh = Mesh({{"data", 2}});
  plan.batch = 8;
  plan.layout.axes_of_dim = {{"batch", {"data"}}, {"out_features", {"data"}}};
  EXPECT_THAT(plan.problems(), testing::ElementsAre(testing::HasSubstr(
                                   "layout splits 'out_features', but blocks hold whole tensors")));
}

TEST(Plan, SharesOfTheBatchAreTheLargest) {
  const Plan plan = plan_over({{"pipe", 2}, {"data", 3}}, 100, 4);
  EXPECT_EQ(plan.stages(), 2);
  EXPECT_EQ(plan.batch_parts(), 3);
  EXPECT_EQ(plan.largest_part(), 34);
  EXPECT_EQ(plan.largest_micro_batch(), 9);
  EXPECT_THAT(plan.problems(), IsEmpty());
}

TEST(Plan, TheBatchMayBeSplitOverSeveralAxes) {
  Plan plan = plan_over({{"data", 2}, {"more", 3}}, 12);
  plan.layout.axes_of_dim["batch"] = {"data", "more"};
  EXPECT_EQ(plan.batch_parts(), 6);
  EXPECT_THAT(plan.problems(), IsEmpty());
}

TEST(Plan, ASmallBatchAndManyMicroBatchesAreNoFault) {
  EXPECT_THAT(plan_over({{"data", 5}}, 3, 7).problems(), IsEmpty());
}

TEST(Plan, EachFaultIsASentence) {
  EXPECT_THAT(plan_over({}, 0).problems(), ElementsAre("train.batch is 0: give 1 sample or more"));
  EXPECT_THAT(plan_over({}, 8, 0).problems(),
              ElementsAre("pipeline.microbatches is 0: give 1 or more"));
  EXPECT_THAT(DataParallelOptions{.bucket_bytes = 0}.problems(),
              ElementsAre("data_parallel.bucket_bytes is 0: give 1 or more"));
  Plan plan = plan_over({}, 8);
  plan.recompute = {.mode = RecomputeMode::every, .every = 0};
  EXPECT_THAT(plan.problems(), ElementsAre("recompute.every is 0: give 1 block a segment or more"));
  plan.recompute.mode = RecomputeMode::all;  // `every` has no effect then
  EXPECT_THAT(plan.problems(), IsEmpty());
  plan.freeze = {.blocks = -1, .parameters = {"a*b", ""}};
  EXPECT_THAT(plan.problems(),
              ElementsAre("freeze.blocks is -1: give 0 or more",
                          "freeze.parameters has \"a*b\": give a parameter's name, or its "
                          "beginning and one '*'",
                          HasSubstr("freeze.parameters has \"\"")));
}

TEST(Plan, CutsAscendAndAreOneFewerThanStages) {
  Plan plan = plan_over({{"pipe", 3}}, 8);
  plan.pipeline.cuts = {2, 2};
  EXPECT_THAT(plan.problems(),
              ElementsAre("pipeline.cuts has 2 after 2: each stage begins at a higher block than "
                          "the one before, and stage 0 begins at block 0 without a cut"));
  plan.pipeline.cuts = {0, 1};
  EXPECT_THAT(plan.problems(), ElementsAre(HasSubstr("pipeline.cuts has 0 after 0")));
  plan.pipeline.cuts = {3};
  EXPECT_THAT(plan.problems(), ElementsAre(HasSubstr("pipeline.cuts has 1 entries, but axis "
                                                     "'pipe' has 3 stages: give 2 cuts")));
}

TEST(Plan, AnAxisThatSplitsNothingIsAFault) {
  EXPECT_THAT(plan_over({{"data", 2}, {"tensor", 2}}, 8).problems(),
              ElementsAre(HasSubstr("axis 'tensor' of the mesh (2 workers) does not split the "
                                    "batch")));
  EXPECT_THAT(plan_over({{"data", 2}, {"tensor", 1}}, 8).problems(), IsEmpty());
}

TEST(Plan, NothingIsSplitOverStages) {
  Plan plan = plan_over({{"pipe", 2}}, 8);
  plan.layout.axes_of_dim["batch"] = {"pipe"};
  EXPECT_THAT(plan.problems(), testing::Contains(HasSubstr("layout splits 'batch' over axis "
                                                           "'pipe'")));
}

TEST(Plan, AllFaultsComeAtOnce) {
  Plan plan = plan_over({{"pipe", 2}}, 0, 0);
  plan.data_parallel.bucket_bytes = -1;
  plan.freeze.blocks = -2;
  EXPECT_EQ(plan.problems().size(), 4u);
}

TEST(PlanTables, ReadTheJobFile) {
  Plan plan;
  read_toml(R"(
    [pipeline]
    schedule = "vanilla"
    microbatches = 4
    cuts = [1, 3]
    [recompute]
    mode = "every"
    every = 3
    [data_parallel]
    bucket_bytes = 1000
    [freeze]
    blocks = 1
    parameters = ["2.*"]
  )",
            "job.toml",
            {describe(plan.pipeline), describe(plan.recompute), describe(plan.data_parallel),
             describe(plan.freeze)});
  EXPECT_EQ(plan.pipeline.schedule, PipelineSchedule::vanilla);
  EXPECT_EQ(plan.pipeline.micro_batches, 4);
  EXPECT_THAT(plan.pipeline.cuts, ElementsAre(1, 3));
  EXPECT_EQ(plan.recompute.mode, RecomputeMode::every);
  EXPECT_EQ(plan.recompute.every, 3);
  EXPECT_EQ(plan.data_parallel.bucket_bytes, 1000);
  EXPECT_EQ(plan.freeze.blocks, 1);
  EXPECT_THAT(plan.freeze.parameters, ElementsAre("2.*"));
}

TEST(PlanTables, GoThroughJsonUnchanged) {
  PipelineOptions options{
      .micro_batches = 3, .schedule = PipelineSchedule::vanilla, .cuts = {2, 5}};
  const nlohmann::json json = to_json({describe(options)});
  PipelineOptions back;
  from_json(json, "plan", {describe(back)});
  EXPECT_EQ(back.micro_batches, 3);
  EXPECT_EQ(back.schedule, PipelineSchedule::vanilla);
  EXPECT_THAT(back.cuts, ElementsAre(2, 5));
}

TEST(PlanTables, CutsAreWholeNumbers) {
  PipelineOptions options;
  for (const char* text : {"cuts = [1.5]", "cuts = 3", "cuts = [\"a\"]"}) {
    try {
      read_toml(std::string("[pipeline]\n") + text, "job.toml", {describe(options)});
      ADD_FAILURE() << text;
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("a list of integers such as [2, 4]"));
    }
  }
  EXPECT_THAT(options.cuts, IsEmpty());
}

TEST(RecomputeOptions, EveryAloneTurnsRecomputationOn) {
  RecomputeOptions options;
  read_toml("[recompute]\nevery = 2\n", "job.toml", {describe(options)});
  EXPECT_EQ(options.mode, RecomputeMode::every);
  EXPECT_EQ(options.every, 2);
}

}  // namespace
}  // namespace shoal

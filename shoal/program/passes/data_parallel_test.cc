#include <gmock/gmock.h>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kMiB = 1 << 20;

// Blocks of a given size of gradients, in one parameter.
std::vector<BlockFacts> chain_of_gradients(int blocks, std::int64_t gradient_bytes) {
  auto chain = chain_facts(blocks);
  for (BlockFacts& block : chain) {
    block.parameters = {
        {.name = block.name + ".weight", .shape = {gradient_bytes / 4}, .dims = {""}}};
    block.gradient_order = {0};
  }
  return chain;
}

RankPrograms reduced(const std::vector<BlockFacts>& chain, Plan plan, std::int64_t bucket_bytes) {
  plan.data_parallel.bucket_bytes = bucket_bytes;
  RankPrograms programs = single_worker(chain, plan, ProgramKind::train);
  programs = pipeline(std::move(programs), chain, plan);
  return data_parallel(std::move(programs), chain, plan);
}

TEST(DataParallelPass, ReducesABucketAsSoonAsItsLastGradientIsComplete) {
  const RankPrograms programs =
      reduced(chain_of_gradients(3, 4 * kMiB), plan_over({{"data", 2}}, 8), 8 * kMiB);
  for (const Program& program : programs) {
    EXPECT_EQ(text_of(program),
              "Load F0 F1 F2 Loss B2 B1 AllReduce(2,1) B0 AllReduce(0) Agree Update");
  }
  const Op& bucket = programs[1].ops[7];
  EXPECT_EQ(bucket.bytes, 8 * kMiB);
  EXPECT_EQ(bucket.type, ElementType::float32);
  EXPECT_THAT(bucket.accumulates, ElementsAre(Use{gradient(2)}, Use{gradient(1)}));
  EXPECT_EQ(programs[1].groups[bucket.group], (GroupFacts{"data", {0, 1}}));
}

TEST(DataParallelPass, ABucketThatIsNeverFullLeavesBeforeAgree) {
  EXPECT_EQ(text_of(reduced(chain_of_gradients(2, 100), plan_over({{"data", 2}}, 8), kMiB)[0]),
            "Load F0 F1 Loss B1 B0 AllReduce(1,0) Agree Update");
}

TEST(DataParallelPass, LeavesProgramsAsTheyAreOnOnePart) {
  const auto chain = chain_facts(3);
  const Plan plan = plan_over({{"pipe", 3}}, 8, 2);
  const RankPrograms before = pipeline(single_worker(chain, plan, ProgramKind::train), chain, plan);
  EXPECT_EQ(data_parallel(before, chain, plan), before);
}

TEST(DataParallelPass, AModuleOfOneBlockHasSeveralBucketsInGradientOrder) {
  BlockFacts block = chain_facts(1)[0];
  block.parameters.clear();
  for (int i = 0; i < 4; ++i) {
    block.parameters.push_back({.name = std::to_string(i), .shape = {25}, .dims = {""}});
  }
  block.gradient_order = {3, 1, 2, 0};
  const Program program = reduced({block}, plan_over({{"data", 2}}, 8), 150)[0];
  ASSERT_EQ(text_of(program), "Load F0 Loss B0 AllReduce(0) AllReduce(0) Agree Update");
  EXPECT_THAT(program.ops[4].accumulates, ElementsAre(Use{gradient(0, 3)}, Use{gradient(0, 1)}));
  EXPECT_THAT(program.ops[5].accumulates, ElementsAre(Use{gradient(0, 2)}, Use{gradient(0, 0)}));
}

TEST(DataParallelPass, OnlyTheLastMicroBatchCompletesAGradient) {
  EXPECT_EQ(text_of(reduced(chain_of_gradients(2, 100), plan_over({{"data", 2}}, 8, 2), 1)[0]),
            "Load F0.0 F1.0 Loss.0 B1.0 B0.0 F0.1 F1.1 Loss.1 B1.1 AllReduce(1) B0.1 AllReduce(0) "
            "Agree Update");
}

TEST(DataParallelPass, StagesReduceTheirOwnBlocksInTheirOwnGroups) {
  const RankPrograms programs =
      reduced(chain_of_gradients(2, 100), plan_over({{"pipe", 2}, {"data", 2}}, 8), 1);
  EXPECT_EQ(text_of(programs[1]), "Load F0 Send(A0>3) Receive(G0<3) B0 AllReduce(0) Agree Update");
  EXPECT_EQ(text_of(programs[2]),
            "Load Receive(A0<0) F1 Loss B1 Send(G0>0) AllReduce(1) Agree Update");
  EXPECT_THAT(programs[1].groups,
              ElementsAre(GroupFacts{"world", {0, 1, 2, 3}}, GroupFacts{"data@pipe=0", {0, 1}}));
  EXPECT_THAT(programs[2].groups,
              ElementsAre(GroupFacts{"world", {0, 1, 2, 3}}, GroupFacts{"data@pipe=1", {2, 3}}));
}

TEST(DataParallelPass, FrozenParametersAreNotReduced) {
  auto chain = chain_of_gradients(3, 100);
  chain[0].parameters[0].trainable = false;
  chain[2].parameters[0].trainable = false;
  EXPECT_EQ(text_of(reduced(chain, plan_over({{"data", 2}}, 8), 1)[0]),
            "Load F0 F1 F2 Loss B2 B1 AllReduce(1) Agree Update");
}

TEST(DataParallelPass, ACollectiveHasOneElementType) {
  auto chain = chain_of_gradients(3, 100);
  chain[1].parameters[0].type = ElementType::bfloat16;
  const Program program = reduced(chain, plan_over({{"data", 2}}, 8), kMiB)[0];
  ASSERT_EQ(text_of(program),
            "Load F0 F1 F2 Loss B2 B1 B0 AllReduce(2,0) AllReduce(1) Agree Update");
  EXPECT_EQ(program.ops[9].type, ElementType::bfloat16);
  EXPECT_EQ(program.ops[9].bytes, 50);
}

// The one rule: a gradient is summed over each axis that splits a dimension its parameter lacks.
TEST(DataParallelPass, AParameterThatIsSplitItselfIsReducedInASmallerGroup) {
  auto chain = chain_of_gradients(2, 100);
  chain[1].parameters[0].dims = {"ffn"};
  Plan plan = plan_over({{"data", 2}, {"tensor", 2}}, 8);
  plan.layout.axes_of_dim["ffn"] = {"tensor"};
  const Program program = reduced(chain, plan, kMiB)[3];
  ASSERT_EQ(text_of(program), "Load F0 F1 Loss B1 B0 AllReduce(1) AllReduce(0) Agree Update");
  EXPECT_THAT(program.groups[program.ops[6].group].ranks, ElementsAre(1, 3));
  EXPECT_THAT(program.groups[program.ops[7].group].ranks, ElementsAre(0, 1, 2, 3));
}

TEST(DataParallelPass, StatisticsAreAveragedOnceBeforeAgreeAndCountersAreLeftAlone) {
  auto chain = chain_of_gradients(2, 100);
  for (BlockFacts& block : chain) {
    block.buffers = {
        {.name = block.name + ".mean", .shape = {4}, .dims = {""}},
        {.name = block.name + ".count", .shape = {}, .dims = {}, .type = ElementType::int64}};
  }
  const Program program = reduced(chain, plan_over({{"data", 2}}, 8, 2), kMiB)[0];
  EXPECT_THAT(text_of(program),
              testing::EndsWith("B0.1 AllReduce(1,0) AllReduce(buffers 0,1) Agree Update"));
  const Op& average = program.ops[program.ops.size() - 3];
  EXPECT_EQ(average.bytes, 32);
  EXPECT_THAT(average.accumulates,
              ElementsAre(Use{{ValueKind::buffer, 0, -1, 0}}, Use{{ValueKind::buffer, 1, -1, 0}}));
}

TEST(DataParallelPass, EvaluationHasNoCollectives) {
  const auto chain = chain_facts(2);
  const Plan plan = plan_over({{"data", 2}}, 8);
  const RankPrograms before = single_worker(chain, plan, ProgramKind::evaluate);
  EXPECT_EQ(data_parallel(before, chain, plan), before);
}

}  // namespace
}  // namespace shoal

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;

std::string recomputed_text(int blocks, const RecomputeOptions& options, Plan plan = {}) {
  const auto chain = chain_facts(blocks);
  plan.batch = 8;
  RankPrograms programs = single_worker(chain, plan, ProgramKind::train);
  programs = pipeline(std::move(programs), chain, plan);
  return text_of(recompute(std::move(programs), chain, options)[0]);
}

TEST(RecomputePass, AllRunsEachForwardAgainButTheOneWhoseBackwardFollowsAtOnce) {
  EXPECT_EQ(recomputed_text(3, {.mode = RecomputeMode::all}),
            "Load F0 F1 F2 Loss B2 R1 B1 R0 B0 Agree Update");
}

TEST(RecomputePass, EveryCutsSegmentsOfSoManyBlocks) {
  EXPECT_EQ(recomputed_text(4, {.mode = RecomputeMode::every, .every = 2}),
            "Load F0 F1 F2 F3 Loss B3 B2 R0 R1 B1 B0 Agree Update");
  EXPECT_EQ(recomputed_text(5, {.mode = RecomputeMode::every, .every = 2}),
            "Load F0 F1 F2 F3 F4 Loss B4 R2 R3 B3 B2 R0 R1 B1 B0 Agree Update");
  EXPECT_EQ(recomputed_text(3, {.mode = RecomputeMode::every, .every = 9}),
            "Load F0 F1 F2 Loss B2 B1 B0 Agree Update");
}

TEST(RecomputePass, SqrtCutsAsManySegmentsAsBlocksInEach) {
  EXPECT_EQ(recomputed_text(9, {.mode = RecomputeMode::sqrt}),
            "Load F0 F1 F2 F3 F4 F5 F6 F7 F8 Loss B8 B7 B6 R3 R4 R5 B5 B4 B3 R0 R1 R2 B2 B1 B0 "
            "Agree Update");
}

TEST(RecomputePass, LeavesProgramsAsTheyAreWhenItIsOff) {
  const auto chain = chain_facts(3);
  const RankPrograms before = single_worker(chain, plan_over({}, 8), ProgramKind::train);
  EXPECT_EQ(recompute(before, chain, {}), before);
}

TEST(RecomputePass, EachMicroBatchIsRecomputedBeforeItsOwnBackward) {
  EXPECT_EQ(recomputed_text(2, {.mode = RecomputeMode::all}, plan_over({}, 8, 2)),
            "Load F0.0 F1.0 Loss.0 B1.0 R0.0 B0.0 F0.1 F1.1 Loss.1 B1.1 R0.1 B0.1 Agree Update");
}

TEST(RecomputePass, AStageRecomputesWhileItsGradientIsOnTheWay) {
  EXPECT_EQ(recomputed_text(2, {.mode = RecomputeMode::all}, plan_over({{"pipe", 2}}, 8, 2)),
            "Load F0.0 Send(A0.0>1) F0.1 Send(A0.1>1) R0.0 Receive(G0.0<1) B0.0 R0.1 "
            "Receive(G0.1<1) B0.1 Agree Update");
}

TEST(RecomputePass, TheFirstForwardKeepsNothingAndTheSecondCountsNoStatistics) {
  auto chain = chain_facts(2);
  chain[0].buffers = {{.name = "0.linear.mean", .shape = {4}, .dims = {}}};
  const Program program = recompute(single_worker(chain, plan_over({}, 8), ProgramKind::train),
                                    chain, {.mode = RecomputeMode::all})[0];
  ASSERT_EQ(text_of(program), "Load F0 F1 Loss B1 R0 B0 Agree Update");
  const Use mean{{ValueKind::buffer, 0, -1, 0}};
  const Op& first = program.ops[1];
  EXPECT_EQ(first.mode, ForwardMode::no_save);
  EXPECT_THAT(first.writes, ElementsAre(Use{activation(0)}));
  EXPECT_THAT(first.accumulates, ElementsAre(mean));
  const Op& second = program.ops[5];
  EXPECT_EQ(second.mode, ForwardMode::recompute);
  EXPECT_THAT(second.writes, ElementsAre(Use{activation(0)}, Use{{ValueKind::saved, 0, 0}}));
  EXPECT_TRUE(second.accumulates.empty());
  EXPECT_THAT(second.reads, testing::Contains(mean));
}

TEST(RecomputePass, AFrozenPrefixIsNotRecomputed) {
  const FreezeOptions freeze_two{.blocks = 2, .parameters = {}};
  const auto chain = chain_facts(4);
  RankPrograms programs = single_worker(chain, plan_over({}, 8), ProgramKind::train);
  programs = freeze(std::move(programs), chain, freeze_two);
  programs =
      recompute(std::move(programs), frozen(chain, freeze_two), {.mode = RecomputeMode::all});
  EXPECT_EQ(text_of(programs[0]), "Load F0 F1 F2 F3 Loss B3 R2 B2 Agree Update");
}

TEST(RecomputePass, EvaluationIsLeftAlone) {
  const auto chain = chain_facts(3);
  const RankPrograms before = single_worker(chain, plan_over({}, 8), ProgramKind::evaluate);
  EXPECT_EQ(recompute(before, chain, {.mode = RecomputeMode::all}), before);
}

// Chen et al.: n blocks in segments of sqrt(n) keep 2 sqrt(n) activations: 16 -> 8, 36 -> 12.
TEST(RecomputePass, SqrtKeepsTwiceTheSquareRootOfTheActivations) {
  for (const int n : {16, 36, 100}) {
    const auto chain = chain_facts(n);
    RankPrograms programs = single_worker(chain, plan_over({}, 8), ProgramKind::train);
    programs = recompute(std::move(programs), chain, {.mode = RecomputeMode::sqrt});
    programs = free_after_last_use(std::move(programs));
    int live = 0, most = 0;
    for (const Op& op : programs[0].ops) {
      for (const Use& use : op.writes) live += use.value.kind == ValueKind::activation;
      most = std::max(most, live);
      for (const Value& value : op.frees) live -= value.kind == ValueKind::activation;
    }
    EXPECT_LE(most, 2 * std::lround(std::sqrt(n)) + 1) << n;
  }
}

}  // namespace
}  // namespace shoal

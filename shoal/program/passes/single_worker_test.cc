#include <gmock/gmock.h>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(SingleWorkerPass, ThreeProgramsOfAChain) {
  const auto chain = chain_facts(3);
  const Plan plan = plan_over({}, 8);
  const auto text = [&](ProgramKind kind) { return text_of(single_worker(chain, plan, kind)[0]); };
  EXPECT_EQ(text(ProgramKind::train), "Load F0 F1 F2 Loss B2 B1 B0 Agree Update");
  EXPECT_EQ(text(ProgramKind::evaluate), "Load F0 F1 F2 Loss");
  EXPECT_EQ(text(ProgramKind::predict), "Load F0 F1 F2");
}

TEST(SingleWorkerPass, EveryRankOfTheMeshHasTheWholeChain) {
  const RankPrograms programs =
      single_worker(chain_facts(2), plan_over({{"pipe", 2}, {"data", 2}}, 7), ProgramKind::train);
  ASSERT_EQ(programs.size(), 4u);
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(programs[rank].rank, rank);
    EXPECT_EQ(programs[rank].micro_batch_samples, 4);  // 7 samples in two parts
    EXPECT_THAT(programs[rank].groups, ElementsAre(GroupFacts{"world", {0, 1, 2, 3}}));
    EXPECT_EQ(text_of(programs[rank]), "Load F0 F1 Loss B1 B0 Agree Update");
  }
}

TEST(SingleWorkerPass, BlocksBelowTheLowestTrainableKeepNothing) {
  auto chain = chain_facts(3);
  chain[0].parameters.clear();
  chain[0].gradient_order.clear();
  const Program program = single_worker(chain, plan_over({}, 8), ProgramKind::train)[0];
  EXPECT_EQ(text_of(program), "Load F0 F1 F2 Loss B2 B1 Agree Update");
  EXPECT_EQ(program.ops[1].mode, ForwardMode::no_save);
  EXPECT_EQ(program.ops[2].mode, ForwardMode::train);
  EXPECT_THAT(program.ops[6].writes, IsEmpty());  // nobody asks B1 for a gradient of its input
}

TEST(SingleWorkerPass, BackwardAddsGradientsInTheOrderOfTheRecord) {
  const Program program = single_worker(chain_facts(1), plan_over({}, 8), ProgramKind::train)[0];
  EXPECT_THAT(program.ops[3].accumulates, ElementsAre(Use{gradient(0, 1)}, Use{gradient(0, 0)}));
}

TEST(SingleWorkerPass, StatisticsAreAddedToInTrainingAndReadInEvaluation) {
  auto chain = chain_facts(1);
  chain[0].buffers = {{.name = "0.linear.mean", .shape = {4}, .dims = {}}};
  const Use mean{{ValueKind::buffer, 0, -1, 0}};
  const Op train = single_worker(chain, plan_over({}, 8), ProgramKind::train)[0].ops[1];
  EXPECT_THAT(train.accumulates, ElementsAre(mean));
  EXPECT_THAT(train.reads, testing::Not(testing::Contains(mean)));
  const Op evaluate = single_worker(chain, plan_over({}, 8), ProgramKind::evaluate)[0].ops[1];
  EXPECT_THAT(evaluate.accumulates, IsEmpty());
  EXPECT_THAT(evaluate.reads, testing::Contains(mean));
  EXPECT_EQ(evaluate.mode, ForwardMode::evaluate);
}

TEST(SingleWorkerPass, ANetWithoutTrainableParametersStillAgrees) {
  auto chain = chain_facts(2);
  for (BlockFacts& block : chain) block.parameters.clear();
  const Program program = single_worker(chain, plan_over({}, 8), ProgramKind::train)[0];
  EXPECT_EQ(text_of(program), "Load F0 F1 Loss Agree Update");
  EXPECT_THAT(program.ops[3].writes, IsEmpty());
}

}  // namespace
}  // namespace shoal

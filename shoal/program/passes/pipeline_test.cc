#include <gmock/gmock.h>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;

std::vector<std::string> texts(const RankPrograms& programs) {
  std::vector<std::string> all;
  for (const Program& program : programs) all.push_back(text_of(program));
  return all;
}

RankPrograms piped(const std::vector<BlockFacts>& chain, const Plan& plan,
                   ProgramKind kind = ProgramKind::train) {
  return pipeline(single_worker(chain, plan, kind), chain, plan);
}

TEST(PipelinePass, GpipeRunsAllForwardsAndThenAllBackwards) {
  EXPECT_THAT(
      texts(piped(chain_facts(3), plan_over({{"pipe", 3}}, 12, 3))),
      ElementsAre(
          "Load F0.0 Send(A0.0>1) F0.1 Send(A0.1>1) F0.2 Send(A0.2>1) Receive(G0.0<1) B0.0 "
          "Receive(G0.1<1) B0.1 Receive(G0.2<1) B0.2 Agree Update",
          "Load Receive(A0.0<0) F1.0 Send(A1.0>2) Receive(A0.1<0) F1.1 Send(A1.1>2) "
          "Receive(A0.2<0) F1.2 Send(A1.2>2) Receive(G1.0<2) B1.0 Send(G0.0>0) Receive(G1.1<2) "
          "B1.1 Send(G0.1>0) Receive(G1.2<2) B1.2 Send(G0.2>0) Agree Update",
          "Load Receive(A1.0<1) F2.0 Loss.0 Receive(A1.1<1) F2.1 Loss.1 Receive(A1.2<1) F2.2 "
          "Loss.2 B2.0 Send(G1.0>1) B2.1 Send(G1.1>1) B2.2 Send(G1.2>1) Agree Update"));
}

TEST(PipelinePass, VanillaFinishesAMicroBatchBeforeTheNext) {
  EXPECT_THAT(
      texts(piped(chain_facts(3), plan_over({{"pipe", 3}}, 12, 3, PipelineSchedule::vanilla))),
      ElementsAre(
          "Load F0.0 Send(A0.0>1) Receive(G0.0<1) B0.0 F0.1 Send(A0.1>1) Receive(G0.1<1) B0.1 "
          "F0.2 Send(A0.2>1) Receive(G0.2<1) B0.2 Agree Update",
          "Load Receive(A0.0<0) F1.0 Send(A1.0>2) Receive(G1.0<2) B1.0 Send(G0.0>0) "
          "Receive(A0.1<0) F1.1 Send(A1.1>2) Receive(G1.1<2) B1.1 Send(G0.1>0) Receive(A0.2<0) "
          "F1.2 Send(A1.2>2) Receive(G1.2<2) B1.2 Send(G0.2>0) Agree Update",
          "Load Receive(A1.0<1) F2.0 Loss.0 B2.0 Send(G1.0>1) Receive(A1.1<1) F2.1 Loss.1 B2.1 "
          "Send(G1.1>1) Receive(A1.2<1) F2.2 Loss.2 B2.2 Send(G1.2>1) Agree Update"));
}

TEST(PipelinePass, OneStageAccumulatesGradientsOverMicroBatches) {
  EXPECT_THAT(
      texts(piped(chain_facts(2), plan_over({}, 12, 2))),
      ElementsAre("Load F0.0 F1.0 Loss.0 B1.0 B0.0 F0.1 F1.1 Loss.1 B1.1 B0.1 Agree Update"));
}

TEST(PipelinePass, LeavesProgramsAsTheyAreWhenItIsOff) {
  const auto chain = chain_facts(2);
  const Plan plan = plan_over({{"data", 2}}, 12);
  EXPECT_EQ(piped(chain, plan), single_worker(chain, plan, ProgramKind::train));
}

TEST(PipelinePass, PartsOfTheBatchHavePipelinesOfTheirOwn) {
  const RankPrograms programs = piped(chain_facts(4), plan_over({{"pipe", 2}, {"data", 2}}, 10, 3));
  EXPECT_EQ(programs[1].stage, 0);
  EXPECT_EQ(programs[3].stage, 1);
  EXPECT_EQ(programs[1].micro_batch_samples, 2);  // 10 in 2 parts of 5 in 3 micro-batches
  EXPECT_THAT(text_of(programs[1]), testing::StartsWith("Load F0.0 F1.0 Send(A1.0>3)"));
  EXPECT_THAT(text_of(programs[3]), testing::StartsWith("Load Receive(A1.0<1) F2.0 F3.0 Loss.0"));
}

TEST(PipelinePass, StagesFollowTheAxisWhereverItStandsInTheMesh) {
  const RankPrograms programs = piped(chain_facts(2), plan_over({{"data", 2}, {"pipe", 2}}, 8));
  EXPECT_THAT(text_of(programs[2]), testing::StartsWith("Load F0 Send(A0>3)"));
  EXPECT_THAT(text_of(programs[3]), testing::StartsWith("Load Receive(A0<2) F1 Loss"));
}

TEST(PipelinePass, TransfersCarryTheActivationsOfALargestMicroBatch) {
  const RankPrograms programs =
      piped(chain_facts(2, {.features = 10}), plan_over({{"pipe", 2}}, 7, 2));
  const Op& send = programs[0].ops[2];
  ASSERT_EQ(text_of(send, 2), "Send(A0.0>1)");
  EXPECT_EQ(send.bytes, 4 * 10 * 4);  // of 7 samples in two micro-batches, 10 floats each
  EXPECT_EQ(send.peer, 1);
  EXPECT_EQ(send.type, ElementType::float32);
}

TEST(PipelinePass, OnlyTheLastStageKnowsTheLossAndEachUpdatesItsOwn) {
  const RankPrograms programs = piped(chain_facts(2), plan_over({{"pipe", 2}}, 8));
  const Op& agree0 = programs[0].ops[programs[0].ops.size() - 2];
  const Op& agree1 = programs[1].ops[programs[1].ops.size() - 2];
  EXPECT_THAT(agree0.reads, ElementsAre(Use{gradient(0, 0)}, Use{gradient(0, 1)}));
  EXPECT_THAT(agree1.reads,
              ElementsAre(Use{{ValueKind::loss}}, Use{gradient(1, 0)}, Use{gradient(1, 1)}));
  EXPECT_THAT(
      programs[0].ops.back().accumulates,
      ElementsAre(Use{{ValueKind::parameter, 0, -1, 0}}, Use{{ValueKind::parameter, 0, -1, 1}},
                  Use{{ValueKind::optimizer_state, 0, -1, 0}},
                  Use{{ValueKind::optimizer_state, 0, -1, 1}}));
}

TEST(PipelinePass, EvaluationAndPredictionPassForwardInOnePiece) {
  const Plan plan = plan_over({{"pipe", 2}}, 8, 4);
  EXPECT_THAT(texts(piped(chain_facts(2), plan, ProgramKind::evaluate)),
              ElementsAre("Load F0 Send(A0>1)", "Load Receive(A0<0) F1 Loss"));
  EXPECT_THAT(texts(piped(chain_facts(2), plan, ProgramKind::predict)),
              ElementsAre("Load F0 Send(A0>1)", "Load Receive(A0<0) F1"));
}

TEST(PipelinePass, NoGradientTravelsIntoAFrozenPrefix) {
  Plan plan = plan_over({{"pipe", 3}}, 8);
  plan.freeze.blocks = 1;
  const auto chain = frozen(chain_facts(3), plan.freeze);
  EXPECT_THAT(texts(piped(chain, plan)),
              ElementsAre("Load F0 Send(A0>1) Agree Update",
                          "Load Receive(A0<0) F1 Send(A1>2) Receive(G1<2) B1 Agree Update",
                          "Load Receive(A1<1) F2 Loss B2 Send(G1>1) Agree Update"));
}

TEST(PipelinePass, CutsAreTakenAsGiven) {
  Plan plan = plan_over({{"pipe", 2}}, 8);
  plan.pipeline.cuts = {3};
  EXPECT_THAT(text_of(piped(chain_facts(4), plan)[0]),
              testing::StartsWith("Load F0 F1 F2 Send(A2>1)"));
}

}  // namespace
}  // namespace shoal

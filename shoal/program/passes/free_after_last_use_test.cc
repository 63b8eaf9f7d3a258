#include <gmock/gmock.h>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;

// "F1: A0; B1: ..." for every operation that frees something.
std::string frees_of(const Program& program) {
  std::string text;
  for (const Op& op : program.ops) {
    if (op.frees.empty()) continue;
    text += text_of(op, program.micro_batches) + ":";
    for (const Value& value : op.frees) text += " " + text_of(value, program.micro_batches) + ",";
    text.back() = ';';
    text += ' ';
  }
  return text;
}

std::string frees(int blocks, const Plan& plan, ProgramKind kind, int rank = 0) {
  auto chain = chain_facts(blocks);
  for (BlockFacts& block : chain) {
    block.parameters.resize(1);
    block.gradient_order = {0};
  }
  RankPrograms programs = pipeline(single_worker(chain, plan, kind), chain, plan);
  programs = recompute(std::move(programs), chain, plan.recompute);
  return frees_of(free_after_last_use(std::move(programs))[rank]);
}

TEST(FreeAfterLastUsePass, AnActivationLivesUntilTheBackwardOfTheNextBlock) {
  EXPECT_EQ(frees(2, plan_over({}, 8), ProgramKind::train),
            "Loss: A1; B1: G1, saved 1, A0; B0: G0, saved 0, batch; "
            "Update: gradient 0:0, gradient 1:0; ");
}

TEST(FreeAfterLastUsePass, EvaluationKeepsNothingButTheResult) {
  EXPECT_EQ(frees(3, plan_over({}, 8), ProgramKind::evaluate), "F1: A0; F2: A1; Loss: A2, batch; ");
}

TEST(FreeAfterLastUsePass, APredictionIsNotFreed) {
  EXPECT_EQ(frees(2, plan_over({}, 8), ProgramKind::predict), "F0: batch; F1: A0; ");
}

TEST(FreeAfterLastUsePass, ASentActivationIsFreedWhenItHasLeftAndIsNotNeeded) {
  EXPECT_EQ(frees(2, plan_over({{"pipe", 2}}, 8), ProgramKind::train, 0),
            "Send(A0>1): A0; B0: G0, saved 0, batch; Update: gradient 0:0; ");
  EXPECT_EQ(frees(2, plan_over({{"pipe", 2}}, 8), ProgramKind::train, 1),
            "Loss: A1, batch; B1: G1, saved 1, A0; Send(G0>0): G0; Update: gradient 1:0; ");
}

TEST(FreeAfterLastUsePass, WhatARepeatedForwardWritesLivesTwice) {
  Plan plan = plan_over({}, 8);
  plan.recompute = {.mode = RecomputeMode::every, .every = 2};
  // A0 is inside a segment: freed after F1, written again by R0. A1 is the input of the next one.
  EXPECT_EQ(frees(4, plan, ProgramKind::train),
            "F1: A0; Loss: A3; B3: G3, saved 3, A2; B2: G2, saved 2, A1; R1: A1; "
            "B1: G1, saved 1, A0; B0: G0, saved 0, batch; "
            "Update: gradient 0:0, gradient 1:0, gradient 2:0, gradient 3:0; ");
}

TEST(FreeAfterLastUsePass, ReplacesEarlierFrees) {
  const auto chain = chain_facts(2);
  RankPrograms programs = single_worker(chain, plan_over({}, 8), ProgramKind::train);
  programs = free_after_last_use(std::move(programs));
  EXPECT_EQ(free_after_last_use(programs), programs);
}

TEST(FreeAfterLastUsePass, AMiddleStageOfAnEvaluationHoldsNoBatch) {
  EXPECT_EQ(frees(3, plan_over({{"pipe", 3}}, 8), ProgramKind::evaluate, 1),
            "Load: batch; F1: A0; Send(A1>2): A1; ");
}

}  // namespace
}  // namespace shoal

#include <gmock/gmock.h>

#include "shoal/program/passes/passes.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

Program frozen_program(int blocks, const FreezeOptions& options) {
  const auto chain = chain_facts(blocks);
  return freeze(single_worker(chain, plan_over({}, 8), ProgramKind::train), chain, options)[0];
}

TEST(FreezePass, LeavesNoBackwardBelowTheLowestTrainableBlock) {
  EXPECT_EQ(text_of(frozen_program(4, {.blocks = 2, .parameters = {}})),
            "Load F0 F1 F2 F3 Loss B3 B2 Agree Update");
}

TEST(FreezePass, LeavesProgramsAsTheyAreWhenNothingIsFrozen) {
  const auto chain = chain_facts(3);
  const RankPrograms before = single_worker(chain, plan_over({}, 8), ProgramKind::train);
  EXPECT_EQ(freeze(before, chain, {}), before);
}

TEST(FreezePass, GivesTheProgramOfAChainWithoutTheseParameters) {
  const FreezeOptions options{.blocks = 1, .parameters = {"2.linear.bias"}};
  const auto chain = chain_facts(4);
  EXPECT_EQ(frozen_program(4, options),
            single_worker(frozen(chain, options), plan_over({}, 8), ProgramKind::train)[0]);
}

TEST(FreezePass, NothingIsKeptOfAFrozenPrefixAndNoGradientEntersIt) {
  const Program program = frozen_program(3, {.blocks = 1, .parameters = {}});
  EXPECT_EQ(program.ops[1].mode, ForwardMode::no_save);
  EXPECT_THAT(program.ops[1].writes, ElementsAre(Use{activation(0)}));
  EXPECT_EQ(program.ops[2].mode, ForwardMode::train);
  const Op& lowest_backward = program.ops[6];
  ASSERT_EQ(text_of(lowest_backward, 1), "B1");
  EXPECT_TRUE(lowest_backward.writes.empty());
}

TEST(FreezePass, AFrozenParameterAboveHasABackwardButNoGradient) {
  const Program program = frozen_program(2, {.parameters = {"1.*"}});
  ASSERT_EQ(text_of(program), "Load F0 F1 Loss B1 B0 Agree Update");
  EXPECT_TRUE(program.ops[4].accumulates.empty());
  EXPECT_EQ(program.ops[4].writes.size(), 1u);  // the gradient of its input
  const Op& update = program.ops.back();
  EXPECT_THAT(update.accumulates, Not(Contains(Use{{ValueKind::parameter, 1, -1, 0}})));
  EXPECT_THAT(update.accumulates, Contains(Use{{ValueKind::optimizer_state, 0, -1, 1}}));
  EXPECT_THAT(update.reads, Not(Contains(Use{gradient(1, 0)})));
}

TEST(FreezePass, MatchesNamesAndBeginningsOfNames) {
  const auto trainable = [](const std::string& pattern) {
    std::string text;
    for (const BlockFacts& block : frozen(chain_facts(2), {.parameters = {pattern}})) {
      for (const ParameterFacts& p : block.parameters) text += p.trainable ? 't' : 'f';
    }
    return text;
  };
  EXPECT_EQ(trainable("0.linear.weight"), "fttt");
  EXPECT_EQ(trainable("0.linear"), "tttt");
  EXPECT_EQ(trainable("0.linear*"), "fftt");
  EXPECT_EQ(trainable("*"), "ffff");
}

}  // namespace
}  // namespace shoal

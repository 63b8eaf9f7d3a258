#include "shoal/program/compile.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>

#include "shoal/core/error.h"
#include "shoal/program/test_programs.h"
#include "shoal/program/verify.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

// What compile refuses a job with.
std::vector<std::string> refusal(const std::vector<BlockFacts>& chain, const Plan& plan) {
  try {
    compile(chain, plan);
  } catch (const InvalidInput& error) {
    return error.faults;
  }
  return {};
}

std::vector<int> cuts_of(const std::vector<double>& seconds, int stages) {
  auto chain = chain_facts(static_cast<int>(seconds.size()));
  for (std::size_t i = 0; i < seconds.size(); ++i) chain[i].forward.core.fixed = seconds[i];
  return stage_starts(chain, plan_over({{"pipe", stages}}, 8));
}

TEST(Compile, MakesThreeNamedProgramsOfEveryRank) {
  const Programs programs = compile(chain_facts(2), plan_over({{"pipe", 2}, {"data", 2}}, 8, 2));
  EXPECT_THAT(programs.named, ElementsAre(Key("evaluate"), Key("predict"), Key("train")));
  for (const auto& [name, ranks] : programs.named) EXPECT_EQ(ranks.size(), 4u) << name;
  EXPECT_EQ(text_of(programs.named.at("train")[3]),
            "Load Receive(A0.0<1) F1.0 Loss.0 Receive(A0.1<1) F1.1 Loss.1 B1.0 Send(G0.0>1) B1.1 "
            "Send(G0.1>1) AllReduce(1) Agree Update");
  EXPECT_EQ(text_of(programs.named.at("evaluate")[3]), "Load Receive(A0<1) F1 Loss");
}

TEST(Compile, AllTechniquesTogether) {
  Plan plan = plan_over({{"pipe", 2}, {"data", 2}}, 8, 1);
  plan.freeze.blocks = 1;
  plan.recompute.mode = RecomputeMode::all;
  plan.pipeline.cuts = {3};
  EXPECT_EQ(text_of(compile(chain_facts(5), plan).named.at("train")[0]),
            "Load F0 F1 F2 Send(A2>2) Receive(G2<2) B2 R1 B1 AllReduce(2,1) Agree Update");
}

TEST(Compile, ResolvesThePlanAndTheFacts) {
  Plan plan = plan_over({{"pipe", 2}}, 8);
  plan.freeze.parameters = {"1.linear.bias"};
  const Programs programs = compile(chain_facts(4), plan);
  EXPECT_THAT(programs.plan.pipeline.cuts, ElementsAre(2));
  EXPECT_FALSE(programs.blocks[1].parameters[1].trainable);
  EXPECT_TRUE(programs.blocks[1].parameters[0].trainable);
  // A resolved plan compiles to the same again.
  const Programs again = compile(programs.blocks, programs.plan);
  EXPECT_EQ(again.named, programs.named);
  EXPECT_EQ(again.digest(), programs.digest());
}

TEST(Compile, CutsWhereTheLargestStageIsSmallest) {
  EXPECT_THAT(cuts_of({1, 1, 1, 1, 1, 1}, 3), ElementsAre(0, 2, 4));
  EXPECT_THAT(cuts_of({4, 1, 1, 1, 1}, 2), ElementsAre(0, 1));
  EXPECT_THAT(cuts_of({1, 1, 1, 9}, 2), ElementsAre(0, 3));
  EXPECT_THAT(cuts_of({9, 1, 1}, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(cuts_of({1, 9}, 2), ElementsAre(0, 1));
  EXPECT_THAT(cuts_of({0, 0, 5, 0}, 4), ElementsAre(0, 1, 2, 3));
}

TEST(Compile, CutsByParametersWhenNoCostsAreKnownAndByBlocksWithoutThose) {
  auto chain = chain_facts(4);
  chain[3].parameters[0].shape = {256, 768};
  EXPECT_THAT(stage_starts(chain, plan_over({{"pipe", 2}}, 8)), ElementsAre(0, 3));
  for (BlockFacts& block : chain) block.parameters.clear();
  EXPECT_THAT(stage_starts(chain, plan_over({{"pipe", 2}}, 8)), ElementsAre(0, 2));
}

TEST(Compile, AFrozenPrefixCostsNoBackward) {
  auto chain = chain_facts(4);
  for (BlockFacts& block : chain) {
    block.forward.core.fixed = 1;
    block.backward.core.fixed = 2;
  }
  Plan plan = plan_over({{"pipe", 2}}, 8);
  plan.freeze.blocks = 2;  // costs 1 1 3 3
  EXPECT_THAT(stage_starts(chain, plan), ElementsAre(0, 3));
}

TEST(Compile, RefusesMoreStagesThanBlocks) {
  EXPECT_THAT(refusal(chain_facts(2), plan_over({{"pipe", 3}}, 8)),
              ElementsAre("axis 'pipe' has 3 stages, but the chain has 2 blocks: give at most 2"));
}

TEST(Compile, RefusesACutBehindTheChain) {
  Plan plan = plan_over({{"pipe", 2}}, 8);
  plan.pipeline.cuts = {2};
  EXPECT_THAT(refusal(chain_facts(2), plan),
              ElementsAre("pipeline.cuts has 2, but the chain's last block is 1"));
}

TEST(Compile, RefusesToFreezeWhatIsNotThereOrEverything) {
  Plan plan = plan_over({}, 8);
  plan.freeze = {.blocks = 3, .parameters = {"9.*"}};
  EXPECT_THAT(refusal(chain_facts(2), plan),
              ElementsAre("freeze.blocks is 3, but the chain has 2 blocks",
                          "freeze.parameters has \"9.*\", which no parameter of the model matches",
                          "[freeze] leaves no parameter to train: freeze less"));
}

TEST(Compile, RefusesToRecomputeWhatDrawsOtherNumbersTheSecondTime) {
  auto chain = chain_facts(2);
  chain[1].draws_random_numbers = true;
  Plan plan = plan_over({}, 8);
  EXPECT_THAT(refusal(chain, plan), testing::IsEmpty());
  plan.recompute.mode = RecomputeMode::all;
  EXPECT_THAT(refusal(chain, plan),
              ElementsAre(HasSubstr("block 1.linear draws from the process-wide generator")));
}

TEST(Compile, RefusesToTrainBelowAnOutputWithoutGradient) {
  auto chain = chain_facts(3);
  chain[1].outputs[0].differentiable = chain[2].inputs[0].differentiable = false;
  EXPECT_THAT(refusal(chain, plan_over({}, 8)),
              ElementsAre("no gradient flows back through the output of block 1.linear, but "
                          "parameters of block 0.linear are trained: freeze them"));
  Plan plan = plan_over({}, 8);
  plan.freeze.blocks = 2;
  EXPECT_THAT(refusal(chain, plan), testing::IsEmpty());
}

// A chain whose block 1 sums over the batch.
std::vector<BlockFacts> summing_chain() {
  auto chain = chain_facts(3);
  chain[1].forward_sums = {{.elements = 5}, {.elements = 3}};
  chain[1].backward_sums = {{.elements = 4}};
  return chain;
}

TEST(Compile, BlocksSumOverTheRanksOfTheirBatch) {
  Plan plan = plan_over({{"pipe", 2}, {"data", 2}}, 8);
  plan.pipeline.cuts = {1};
  plan.recompute.mode = RecomputeMode::all;
  const Programs programs = compile(summing_chain(), plan);
  const Program& upper = programs.named.at("train")[2];
  int meetings = 0;
  for (const Op& op : upper.ops) {
    const bool of_block = op.kind == OpKind::forward || op.kind == OpKind::backward;
    if (!of_block) continue;
    EXPECT_EQ(meets_others(op), op.block == 1) << text_of(op, 1);
    if (!meets_others(op)) continue;
    ++meetings;
    EXPECT_EQ(op.bytes, op.kind == OpKind::forward ? 64 : 32);
    EXPECT_EQ(op.type, ElementType::float64);
    EXPECT_EQ(upper.groups[op.group].name, "data@pipe=1 in blocks");
    EXPECT_THAT(upper.groups[op.group].ranks, ElementsAre(2, 3));
  }
  EXPECT_EQ(meetings, 3) << "forward, the second forward, backward";
  for (const Op& op : programs.named.at("evaluate")[2].ops) EXPECT_FALSE(meets_others(op));
}

TEST(Compile, ABlockThatHasTheWholeBatchMeetsNobody) {
  const RankPrograms programs = train_programs(summing_chain(), plan_over({{"pipe", 2}}, 8));
  for (const Op& op : programs[0].ops) {
    if (op.kind == OpKind::forward) {
      EXPECT_FALSE(meets_others(op));
    }
  }
}

TEST(Compile, RefusesToCutABatchThatABlockSumsOver) {
  EXPECT_THAT(refusal(summing_chain(), plan_over({{"data", 2}}, 8, 2)),
              ElementsAre(HasSubstr("block 1.linear sums over the whole batch, which "
                                    "pipeline.microbatches = 2 cuts: set it to 1")));
}

TEST(Compile, RefusesBlocksThatDoNotFit) {
  auto chain = chain_facts(3);
  chain[1] = block_facts(1, {.features = 10});
  EXPECT_THAT(refusal(chain, plan_over({}, 8)),
              ElementsAre("block 0.linear gives x float32[n, 256], but block 1.linear takes x "
                          "float32[n, 10]",
                          "block 1.linear gives x float32[n, 10], but block 2.linear takes x "
                          "float32[n, 256]"));
  EXPECT_THAT(refusal({}, plan_over({}, 8)), ElementsAre("the chain has no block"));
  EXPECT_THAT(refusal({block_facts(0), block_facts(0)}, plan_over({}, 8)),
              ElementsAre("two blocks of the chain are named '0.linear'",
                          "two tensors of the model are named '0.linear.weight'",
                          "two tensors of the model are named '0.linear.bias'"));
}

TEST(Compile, ListsFaultsOfPlanAndChainAtOnce) {
  auto chain = chain_facts(2);
  chain[1] = block_facts(1, {.features = 10});
  Plan plan = plan_over({}, 0);
  plan.pipeline.micro_batches = 0;
  EXPECT_EQ(refusal(chain, plan).size(), 3u);
}

TEST(Compile, MoreMicroBatchesThanSamplesLeaveSomeEmpty) {
  const Programs programs = compile(chain_facts(2), plan_over({{"pipe", 2}}, 3, 5));
  EXPECT_EQ(programs.named.at("train")[0].micro_batch_samples, 1);
  EXPECT_EQ(programs.named.at("train")[0].micro_batches, 5);
}

// Milliseconds on a quiet machine; the limit only catches what grows with the square of the ranks.
TEST(Compile, AThousandRanksNeedNoTensorAndLittleTime) {
  const auto start = std::chrono::steady_clock::now();
  const Programs programs =
      compile(chain_facts(16), plan_over({{"pipe", 8}, {"data", 128}}, 4096, 8));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(programs.named.at("train").size(), 1024u);
  fmt::print("1024 ranks: {:.3f} s\n", seconds.count());
  EXPECT_LT(seconds.count(), 60);
}

}  // namespace
}  // namespace shoal

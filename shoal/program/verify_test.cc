#include "shoal/program/verify.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "shoal/program/compile.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A compiled job that a test then spoils.
struct Fixture {
  explicit Fixture(const Plan& plan, int blocks = 2, bool buffers = false) {
    auto chain = chain_facts(blocks);
    for (BlockFacts& block : chain) {
      if (buffers) {
        block.buffers = {{.name = block.name + ".mean", .shape = {4}, .dims = {""}}};
      }
    }
    programs = compile(chain, plan);
  }
  RankPrograms& train() { return programs.named.at("train"); }
  std::vector<Op>& ops(int rank = 0) { return train()[rank].ops; }
  // Index of the operation with this text.
  int at(const std::string& text, int rank = 0) {
    const Program& program = train()[rank];
    for (int i = 0; i < std::ssize(program.ops); ++i) {
      if (text_of(program.ops[i], program.micro_batches) == text) return i;
    }
    ADD_FAILURE() << "no " << text << " in " << text_of(program);
    return 0;
  }
  void drop(const std::string& text, int rank = 0) {
    ops(rank).erase(ops(rank).begin() + at(text, rank));
  }
  void swap(const std::string& a, const std::string& b, int rank = 0) {
    std::swap(ops(rank)[at(a, rank)], ops(rank)[at(b, rank)]);
  }
  // Numbered again, so that versions do not give a change away.
  std::vector<std::string> faults() {
    for (Program& program : train()) number_versions(program);
    return verify(train(), programs.blocks, programs.plan, ProgramKind::train);
  }
  Programs programs;
};

Plan two_stages(int micro_batches = 1) { return plan_over({{"pipe", 2}}, 8, micro_batches); }
Plan two_parts() { return plan_over({{"data", 2}}, 8); }

TEST(Verify, AcceptsWhatCompileMakes) {
  EXPECT_THAT(verify(Fixture(plan_over({}, 8)).programs), IsEmpty());
  EXPECT_THAT(verify(Fixture(two_parts(), 3, true).programs), IsEmpty());
  EXPECT_THAT(verify(Fixture(two_stages(3)).programs), IsEmpty());
}

TEST(Verify, ASwappedSendAndReceiveIsADeadlockBetweenTwoNamedOperations) {
  Fixture job(two_stages());
  ASSERT_EQ(text_of(job.train()[0]), "Load F0 Send(A0>1) Receive(G0<1) B0 Agree Update");
  job.swap("Send(A0>1)", "Receive(G0<1)");
  EXPECT_THAT(job.faults(),
              ElementsAre("the programs cannot finish: rank 0, operation 2 (Receive(G0<1)) waits "
                          "for rank 1, operation 5 (Send(G0>0)); rank 1, operation 1 "
                          "(Receive(A0<0)) waits for rank 0, operation 3 (Send(A0>1))"));
}

TEST(Verify, ADeadlockBetweenACollectiveAndAMessageIsNamed) {
  Fixture job(two_stages());
  job.drop("Agree");
  Op agree = job.programs.named.at("train")[1].ops[6];
  agree.reads = {{gradient(0, 0)}, {gradient(0, 1)}};
  // Rank 0 agrees before it sends what rank 1 has to receive first.
  job.ops().insert(job.ops().begin() + job.at("Send(A0>1)"), agree);
  const auto faults = job.faults();
  EXPECT_THAT(faults, Contains(AllOf(HasSubstr("rank 0, operation 2 (Agree) waits for rank 1"),
                                     HasSubstr("rank 1, operation 1 (Receive(A0<0)) waits for "
                                               "rank 0, operation 3 (Send(A0>1))"))));
}

TEST(Verify, NamesWhatIsReadBeforeItIsWritten) {
  Fixture job(plan_over({}, 8));
  job.swap("F0", "F1");
  EXPECT_THAT(job.faults(),
              Contains("rank 0, operation 1 (F1): reads A0, which nothing has written"));
}

TEST(Verify, NamesWhatIsReadAfterItIsFreed) {
  Fixture job(plan_over({}, 8));
  job.ops()[job.at("F1")].frees = {activation(0)};
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 4 (B1): reads A0, which operation 2 (F1) "
                                     "has freed"));
}

TEST(Verify, NamesAnotherVersionThanWasCompiled) {
  Fixture job(plan_over({}, 8));
  job.ops()[job.at("B0")].reads[0].version = 3;
  EXPECT_THAT(verify(job.programs), ElementsAre("train: rank 0, operation 5 (B0): expects G0 in "
                                                "version 3, but finds version 1"));
}

TEST(Verify, AGradientThatLacksAMicroBatchIsNotComplete) {
  Fixture job(plan_over({}, 8, 2));
  job.drop("B0.1");
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 10 (Agree): reads gradient 0:0, which has "
                                     "1 of 2 micro-batches' parts"));
}

TEST(Verify, AGradientThatIsNotReducedIsNotComplete) {
  Fixture job(two_parts());
  job.drop("AllReduce(1,0)", 0);
  job.drop("AllReduce(1,0)", 1);
  EXPECT_THAT(job.faults(), Contains("rank 1, operation 6 (Agree): reads gradient 1:0 before it "
                                     "is summed over its group"));
}

TEST(Verify, AGradientReducedTwiceIsCountedTwice) {
  Fixture job(two_parts());
  for (int rank : {0, 1}) {
    const int at = job.at("AllReduce(1,0)", rank);
    job.ops(rank).insert(job.ops(rank).begin() + at, job.ops(rank)[at]);
  }
  EXPECT_THAT(job.faults(),
              Contains("rank 0, operation 7 (AllReduce(1,0)): reduces gradient 1:1 a second time, "
                       "after operation 6 (AllReduce(1,0))"));
}

TEST(Verify, AReductionBeforeTheLastMicroBatchIsTooEarly) {
  Plan plan = plan_over({{"data", 2}}, 8, 2);
  Fixture job(plan);
  for (int rank : {0, 1}) job.swap("AllReduce(1,0)", "B0.0", rank);
  EXPECT_THAT(job.faults(), Contains(HasSubstr("reduces gradient 1:1, which has 1 of 2")));
}

TEST(Verify, AMicroBatchCountedTwiceIsNamed) {
  Fixture job(plan_over({}, 8, 2));
  const Op loss = job.ops()[job.at("Loss.0")];
  Op& second = job.ops()[job.at("Loss.1")];
  second = loss;
  EXPECT_THAT(job.faults(), Contains(HasSubstr("adds micro-batch 0 to loss a second time")));
}

TEST(Verify, StatisticsAreCountedOnceWithRecomputation) {
  Plan plan = plan_over({}, 8);
  plan.recompute.mode = RecomputeMode::all;
  Fixture job(plan, 2, true);
  Op& again = job.ops()[job.at("R0")];
  again.mode = ForwardMode::train;
  again.accumulates = {{{ValueKind::buffer, 0, -1, 0}}};
  std::erase(again.reads, Use{{ValueKind::buffer, 0, -1, 0}, 1});
  EXPECT_THAT(job.faults(), Contains(HasSubstr("adds micro-batch 0 to buffer 0:0 a second time")));
}

TEST(Verify, StatisticsThatAreNotAveragedAreNamed) {
  Fixture job(two_parts(), 2, true);
  for (int rank : {0, 1}) job.drop("AllReduce(buffers 0,1)", rank);
  EXPECT_THAT(job.faults(), Contains("rank 0: at the end of the list, buffer 0:0 is not averaged "
                                     "over its group"));
}

TEST(Verify, ASecondUpdateIsNamed) {
  Fixture job(plan_over({}, 8));
  const Op update = job.ops().back();
  job.ops().back().frees.clear();
  job.ops().push_back(update);
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 8 (Update): updates a second time, after "
                                     "operation 7 (Update)"));
}

TEST(Verify, AMissingUpdateLossOrAgreeIsNamed) {
  for (const auto& [op, text] : std::vector<std::pair<std::string, std::string>>{
           {"Update", "rank 0: at the end of the list, the Update is missing"},
           {"Agree", "rank 0: at the end of the list, the Agree is missing"},
           {"Loss", "rank 0: at the end of the list, the loss has 0 of 1 micro-batches"}}) {
    Fixture job(plan_over({}, 8));
    job.drop(op);
    EXPECT_THAT(job.faults(), Contains(text));
  }
}

TEST(Verify, NothingReadsParametersAfterTheUpdate) {
  Plan plan = two_stages();
  plan.freeze.blocks = 1;
  Fixture job(plan);
  Op& forward = job.ops()[1];
  ASSERT_EQ(text_of(job.train()[0]), "Load F0 Send(A0>1) Agree Update");
  const Op late = forward;
  job.ops().erase(job.ops().begin() + 1);
  job.ops().push_back(late);
  EXPECT_THAT(job.faults(), Contains(HasSubstr("reads parameter 0:0 after operation 3 (Update)")));
}

TEST(Verify, ASendWithoutItsReceiveIsNamed) {
  Fixture job(two_stages());
  job.drop("Send(G0>0)", 1);
  EXPECT_THAT(job.faults(),
              ElementsAre("rank 0, operation 3 (Receive(G0<1)) has no Send on rank 1"));
}

TEST(Verify, MessagesOfAPairInAnotherOrderAreNamed) {
  Fixture job(two_stages(2));
  job.swap("Send(A0.0>1)", "Send(A0.1>1)");
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 2 (Send(A0.1>1)) meets rank 1, operation "
                                     "1 (Receive(A0.0<0)), which expects another value or size"));
}

TEST(Verify, CollectivesInAnotherOrderAreNamed) {
  Plan plan = two_parts();
  plan.data_parallel.bucket_bytes = 1;
  Fixture job(plan);
  const int at = job.at("AllReduce(1)", 1);  // the bias; the weight follows
  std::swap(job.ops(1)[at], job.ops(1)[at + 1]);
  EXPECT_THAT(job.faults(),
              ElementsAre("rank 0, operation 5 (AllReduce(1)) and rank 1, operation 5 "
                          "(AllReduce(1)) meet in group data, but their values or sizes differ"));
}

TEST(Verify, ACollectiveThatAMemberLacksIsNamed) {
  Fixture job(two_parts());
  job.drop("AllReduce(1,0)", 1);
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 6 (AllReduce(1,0)) of group data has no "
                                     "counterpart on rank 1"));
}

TEST(Verify, ABlockThatSumsAloneOrInAnotherGroupIsNamed) {
  auto chain = chain_facts(2);
  chain[1].forward_sums = {{.elements = 5}};
  chain[1].backward_sums = {{.elements = 5}};
  const Plan plan = plan_over({{"data", 2}}, 8);
  const RankPrograms good = train_programs(chain, plan);
  EXPECT_THAT(verify(good, chain, plan), IsEmpty());
  const auto forward_of = [](RankPrograms& programs) -> Op& {
    auto& ops = programs[1].ops;
    return *std::find_if(ops.begin(), ops.end(), [](const Op& op) { return meets_others(op); });
  };
  RankPrograms alone = good;
  forward_of(alone).group = -1;
  EXPECT_THAT(verify(alone, chain, plan),
              Contains(AllOf(HasSubstr("rank 1"), HasSubstr("its block sums over the batch"))));
  RankPrograms astray = good;
  for (int i = 0; i < std::ssize(astray[1].groups); ++i) {
    if (astray[1].groups[i].name == "data") forward_of(astray).group = i;
  }
  EXPECT_THAT(verify(astray, chain, plan),
              Contains(HasSubstr("sums over group data instead of group data in blocks")));
}

TEST(Verify, BytesAreThoseOfTheFacts) {
  Fixture job(two_stages());
  job.ops()[job.at("Send(A0>1)")].bytes = 12;
  EXPECT_THAT(job.faults(),
              ElementsAre("rank 0, operation 2 (Send(A0>1)): bytes is 12 instead of 8192"));
}

TEST(Verify, APeerOfAnotherPartIsRefused) {
  Fixture job(plan_over({{"pipe", 2}, {"data", 2}}, 8));
  job.ops(0)[job.at("Send(A0>2)", 0)].peer = 3;
  EXPECT_THAT(job.faults(),
              ElementsAre("rank 0, operation 2 (Send(A0>3)): A0 goes from rank 0 to rank 2"));
}

TEST(Verify, AGroupOfOtherRanksIsRefused) {
  Fixture job(plan_over({{"pipe", 2}, {"data", 2}}, 8));
  job.ops(1)[job.at("AllReduce(0)", 1)].group = 0;
  EXPECT_THAT(job.faults(), ElementsAre("rank 1, operation 5 (AllReduce(0)): runs in group world "
                                        "instead of group data@pipe=0"));
  job.train()[1].groups[1].ranks = {0, 2};
  job.ops(1)[job.at("AllReduce(0)", 1)].group = 1;
  EXPECT_THAT(job.faults(), ElementsAre(HasSubstr("does not have the ranks that the mesh gives")));
}

TEST(Verify, EvaluationModeHasNoPlaceInTraining) {
  Fixture job(plan_over({}, 8));
  job.ops()[job.at("F0")].mode = ForwardMode::evaluate;
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 1 (F0): forward in mode evaluate in a "
                                     "program that trains"));
}

TEST(Verify, ABlockOfAnotherStageIsRefused) {
  Fixture job(two_stages());
  job.ops()[job.at("F0")].block = 1;
  EXPECT_THAT(job.faults(), Contains("rank 0, operation 1 (F1): block 1 is not this rank's: stage "
                                     "0 has blocks 0 to 0"));
}

TEST(Verify, CarriedValuesAreNotFreed) {
  Fixture job(plan_over({}, 8));
  job.ops()[job.at("B0")].frees.push_back({ValueKind::parameter, 0, -1, 0});
  EXPECT_THAT(job.faults(),
              ElementsAre("rank 0, operation 5 (B0): frees parameter 0:0, which outlives the run"));
}

TEST(Verify, ThePredictionHasToBeThereAtTheEnd) {
  Fixture job(plan_over({}, 8));
  RankPrograms predict = job.programs.named.at("predict");
  predict[0].ops.back().frees.push_back(activation(1));
  EXPECT_THAT(verify(predict, job.programs.blocks, job.programs.plan),
              ElementsAre("rank 0: at the end of the list, the result A1 is missing"));
}

TEST(Verify, AnEvaluationWithoutItsLossIsNoEvaluation) {
  Fixture job(plan_over({}, 8));
  RankPrograms evaluate = job.programs.named.at("evaluate");
  evaluate[0].ops.pop_back();
  EXPECT_THAT(verify(evaluate, job.programs.blocks, job.programs.plan, ProgramKind::evaluate),
              ElementsAre("rank 0: at the end of the list, the loss has 0 of 1 micro-batches"));
}

TEST(Verify, ProgramsOfAnotherWorldOrPlanAreRefused) {
  Fixture job(two_parts());
  RankPrograms one(1, job.train()[0]);
  EXPECT_THAT(verify(one, job.programs.blocks, job.programs.plan),
              ElementsAre("there are programs for 1 ranks, but the mesh has 2"));
  std::swap(job.train()[0], job.train()[1]);
  EXPECT_THAT(job.faults(), ElementsAre("the program in place 0 is one for rank 1"));
  std::swap(job.train()[0], job.train()[1]);
  job.train()[0].micro_batch_samples = 5;
  EXPECT_THAT(job.faults(), ElementsAre("rank 0: micro_batch_samples is 5, but the plan has 4"));
}

TEST(Verify, AMissingNamedProgramIsRefused) {
  Fixture job(plan_over({}, 8));
  job.programs.named.erase("evaluate");
  EXPECT_THAT(verify(job.programs), ElementsAre("there is no program \"evaluate\""));
}

TEST(Verify, EveryRankLoadsBeforeItComputes) {
  Fixture job(plan_over({{"pipe", 3}}, 8), 3);
  job.drop("Load", 1);  // its batch is read by no operation, but a block asks for sample ids
  EXPECT_THAT(job.faults(), Contains("rank 1, operation 1 (F1): runs before the Load"));
}

TEST(Verify, StopsListingAfterAHundredMismatches) {
  Fixture job(plan_over({}, 8, 200));
  job.ops().erase(job.ops().begin());  // no Load: every micro-batch misses its batch
  const auto faults = job.faults();
  EXPECT_EQ(faults.size(), 101u);
  EXPECT_THAT(faults.back(), testing::MatchesRegex("and [0-9]+ more mismatches"));
}

}  // namespace
}  // namespace shoal

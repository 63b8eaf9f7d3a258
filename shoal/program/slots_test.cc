#include <gmock/gmock.h>

#include "shoal/core/error.h"
#include "shoal/program/picture.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;

RankPrograms pipeline_of(int stages, int micro_batches,
                         PipelineSchedule schedule = PipelineSchedule::gpipe,
                         int blocks_per_stage = 1) {
  return train_programs(
      chain_facts(stages * blocks_per_stage),
      plan_over({{"pipe", stages}}, std::int64_t{4} * micro_batches, micro_batches, schedule));
}

TEST(SlotPicture, GpipeOfThreeByThreeTakesFiveForwardSlots) {
  const auto programs = pipeline_of(3, 3);
  EXPECT_EQ(forward_slots(programs, chain_facts(3)), 5);
  EXPECT_EQ(slot_picture(programs, chain_facts(3)),
            "rank 0 | F0 F1 F2 .  .  .  .  B0 B1 B2\n"
            "rank 1 | .  F0 F1 F2 .  .  B0 B1 B2 .\n"
            "rank 2 | .  .  F0 F1 F2 B0 B1 B2 .  .\n"
            "5 forward slots, 5 backward slots; busy 60 %\n");
}

TEST(SlotPicture, VanillaOfThreeByThreeTakesNineAndKeepsEachBusyAThird) {
  const auto programs = pipeline_of(3, 3, PipelineSchedule::vanilla);
  const Slots slots = slots_of(programs);
  EXPECT_EQ(forward_slots(programs, chain_facts(3)), 9);
  EXPECT_EQ(slots.backward, 9);
  EXPECT_EQ(slots.total, 18);
  for (const auto& row : slots.ranks) EXPECT_EQ(row.size(), 6U);
  EXPECT_DOUBLE_EQ(slots.busy, 1.0 / 3);
  EXPECT_EQ(slot_picture(programs, chain_facts(3)),
            "rank 0 | F0 .  .  .  .  B0 F1 .  .  .  .  B1 F2 .  .  .  .  B2\n"
            "rank 1 | .  F0 .  .  B0 .  .  F1 .  .  B1 .  .  F2 .  .  B2 .\n"
            "rank 2 | .  .  F0 B0 .  .  .  .  F1 B1 .  .  .  .  F2 B2 .  .\n"
            "9 forward slots, 9 backward slots; busy 33 %\n");
}

TEST(Slots, GpipeBubbleIsThatOfThePaper) {
  for (const int p : {1, 2, 3, 4, 8}) {
    for (const int m : {1, 2, 3, 8, 16}) {
      const Slots slots = slots_of(pipeline_of(p, m));
      EXPECT_EQ(slots.forward, m + p - 1) << p << " stages, " << m << " micro-batches";
      EXPECT_EQ(slots.total, 2 * (m + p - 1));
      EXPECT_NEAR(1 - slots.busy, static_cast<double>(p - 1) / (m + p - 1), 1e-12);
    }
  }
}

TEST(Slots, BlocksOfAStageShareASlot) {
  EXPECT_EQ(slots_of(pipeline_of(3, 3, PipelineSchedule::gpipe, 2)).total, 10);
  EXPECT_EQ(slots_of(pipeline_of(2, 4, PipelineSchedule::vanilla, 3)).total, 16);
}

TEST(Slots, ForwardsThatRunAgainBelongToTheBackwardsSlot) {
  Plan plan = plan_over({{"pipe", 3}}, 12, 3);
  plan.recompute.mode = RecomputeMode::all;
  const auto programs = train_programs(chain_facts(6), plan);
  const Slots slots = slots_of(programs);
  EXPECT_EQ(slots.forward, 5);
  EXPECT_EQ(slots.total, 10);
}

TEST(SlotPicture, RanksThatDoAlikeShareARow) {
  const auto chain = chain_facts(2);
  EXPECT_EQ(slot_picture(train_programs(chain, plan_over({{"data", 4}}, 8)), chain),
            "ranks 0-3 | F0 B0\n"
            "1 forward slot, 1 backward slot; busy 100 %\n");
  EXPECT_EQ(slot_picture(train_programs(chain, plan_over({{"data", 2}, {"pipe", 2}}, 8, 2)), chain),
            "ranks 0,2 | F0 F1 .  .  B0 B1\n"
            "ranks 1,3 | .  F0 F1 B0 B1 .\n"
            "3 forward slots, 3 backward slots; busy 67 %\n");
}

TEST(SlotPicture, AFrozenStageHasNoBackward) {
  Plan plan = plan_over({{"pipe", 2}}, 8, 2);
  plan.pipeline.cuts = {1};
  plan.freeze.blocks = 1;
  const auto chain = chain_facts(2);
  EXPECT_EQ(slot_picture(train_programs(chain, plan), chain),
            "rank 0 | F0 F1 .  .  .\n"
            "rank 1 | .  F0 F1 B0 B1\n"
            "3 forward slots, 2 backward slots; busy 60 %\n");
}

TEST(SlotPicture, WithoutBackwardOnlyForwardSlotsAreCounted) {
  const auto chain = chain_facts(3);
  const auto programs = compile(chain, plan_over({{"pipe", 3}}, 6)).named.at("evaluate");
  EXPECT_EQ(slot_picture(programs, chain),
            "rank 0 | F0 .  .\n"
            "rank 1 | .  F0 .\n"
            "rank 2 | .  .  F0\n"
            "3 forward slots; busy 33 %\n");
}

TEST(Slots, RefusesProgramsThatDoNotFinish) {
  const RankPrograms programs{program_of(0, {receive(activation(0), 1, 8)}), program_of(1, {})};
  EXPECT_THROW(slots_of(programs), InvalidInput);
}

}  // namespace
}  // namespace shoal

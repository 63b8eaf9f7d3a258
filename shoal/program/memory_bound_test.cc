#include "shoal/program/memory_bound.h"

#include <gmock/gmock.h>

#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;

// features 4: a parameter set of 64 + 16 bytes, 16 bytes of activation a sample.
constexpr std::int64_t kParameters = 80;
constexpr std::int64_t kSample = 16;

Value saved(int block) { return {.kind = ValueKind::saved, .block = block, .micro_batch = 0}; }

TEST(MemoryBound, CountsValuesFromTheFirstWriteThroughTheFree) {
  // A0 and A1 are alive in F1; then A0 is gone, so F2 holds no more.
  Op second = forward(1);
  second.frees = {activation(0)};
  Op third = forward(2);
  const Program program = program_of(0, {forward(0), second, third});
  const auto bound = memory_bound(program, chain_facts(3, {.features = 4}), 0);
  EXPECT_EQ(bound.peak, 3 * kParameters + 2 * kSample);
  EXPECT_EQ(bound.at_op, 1);
  EXPECT_EQ(bound.by_kind.at(ValueKind::activation), 2 * kSample);
  EXPECT_EQ(bound.by_kind.at(ValueKind::parameter), 3 * kParameters);
  EXPECT_EQ(bound.by_kind.size(), 2U);
}

TEST(MemoryBound, AddsSavedAndWorkspaceOfTheBlock) {
  Op op = forward(0);
  op.writes.push_back({saved(0)});
  Program program = program_of(0, {op});
  program.micro_batch_samples = 10;
  const BlockSizes sizes{.features = 4,
                         .saved = {.fixed = 5, .per_sample = 7},
                         .workspace = {.fixed = 100, .per_sample = 1}};
  const auto bound = memory_bound(program, chain_facts(1, sizes), 0);
  EXPECT_EQ(bound.workspace, 110);
  EXPECT_EQ(bound.by_kind.at(ValueKind::saved), 75);
  EXPECT_EQ(bound.peak, kParameters + 10 * kSample + 75 + 110);
}

TEST(MemoryBound, CarriedValuesStayFromBeginningToEnd) {
  auto chain = chain_facts(1, {.features = 4});
  chain[0].buffers = {{.name = "0.mean", .shape = {3}, .dims = {""}}};
  Op update{.kind = OpKind::update};
  update.accumulates = {{{.kind = ValueKind::optimizer_state, .block = 0, .index = 0}}};
  const auto bound = memory_bound(program_of(0, {forward(0), update}), chain, 2);
  EXPECT_EQ(bound.by_kind.at(ValueKind::optimizer_state), 2 * 64);
  EXPECT_EQ(bound.by_kind.at(ValueKind::buffer), 12);
  EXPECT_EQ(bound.peak, kParameters + 128 + 12 + kSample);
  EXPECT_EQ(bound.at_op, 0);
}

TEST(MemoryBound, CountsABucketTwiceWhileItIsReduced) {
  Op backward{.kind = OpKind::backward, .block = 0, .micro_batch = 0};
  backward.accumulates = {{gradient(0)}};
  const Program program = program_of(0, {backward, all_reduce(gradient(0), 0, 64)},
                                     {{.name = "world", .ranks = {0, 1}}});
  const auto bound = memory_bound(program, chain_facts(1, {.features = 4}), 0);
  EXPECT_EQ(bound.at_op, 1);
  EXPECT_EQ(bound.workspace, 64);
  EXPECT_EQ(bound.peak, 128);  // no forward, so the parameters are another's
}

TEST(MemoryBound, AnEmptyProgramHoldsNothing) {
  const auto bound = memory_bound(program_of(0, {}), chain_facts(1), 2);
  EXPECT_EQ(bound.peak, 0);
  EXPECT_EQ(text_of(bound, program_of(0, {})), "0 B");
}

TEST(MemoryBound, RecomputingLowersThePeak) {
  const auto chain = chain_facts(9, {.features = 64, .saved = {.per_sample = 4096}});
  Plan plan = plan_over({{"data", 1}}, 128);
  const auto peak_with = [&](RecomputeMode mode) {
    plan.recompute.mode = mode;
    return memory_bound(train_programs(chain, plan)[0], chain, 0).peak;
  };
  const auto none = peak_with(RecomputeMode::none);
  EXPECT_LT(peak_with(RecomputeMode::sqrt), none);
  EXPECT_LT(peak_with(RecomputeMode::all), none);
}

TEST(MemoryBound, GpipeHoldsEveryMicroBatch) {
  const auto chain = chain_facts(4, {.features = 4, .saved = {.per_sample = 1024}});
  const auto saved_at_peak = [&](int micro_batches, PipelineSchedule schedule) {
    const auto plan =
        plan_over({{"pipe", 2}}, std::int64_t{8} * micro_batches, micro_batches, schedule);
    return memory_bound(train_programs(chain, plan)[0], chain, 0).by_kind.at(ValueKind::saved);
  };
  const std::int64_t one = std::int64_t{2} * 8 * 1024;  // two blocks, 8 samples
  EXPECT_EQ(saved_at_peak(4, PipelineSchedule::gpipe), 4 * one);
  EXPECT_EQ(saved_at_peak(4, PipelineSchedule::vanilla), one);
}

TEST(MemoryBound, TextNamesTheOperationAndTheLargestFirst) {
  const Program program = program_of(0, {forward(0)});
  const auto bound = memory_bound(program, chain_facts(1, {.workspace = {.fixed = 2048}}), 0);
  EXPECT_EQ(text_of(bound, program),
            "260 KiB at operation 0 F0: parameter 257 KiB, activation 1 KiB, workspace 2 KiB");
}

}  // namespace
}  // namespace shoal

#include "shoal/program/program.h"

#include <gmock/gmock.h>

#include "shoal/program/compile.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;
using testing::IsEmpty;

Program train_program(const Plan& plan, int rank = 0, int blocks = 2) {
  return train_programs(chain_facts(blocks), plan)[rank];
}

TEST(Dependencies, ASingleWorkerRunsOneAfterTheOther) {
  const Program program = train_program(plan_over({}, 8), 0, 1);
  ASSERT_EQ(text_of(program), "Load F0 Loss B0 Agree Update");
  EXPECT_THAT(dependencies(program),
              ElementsAre(IsEmpty(), ElementsAre(0), ElementsAre(1), ElementsAre(2), ElementsAre(3),
                          ElementsAre(3, 4)));
}

TEST(Dependencies, AReductionRunsBesideTheNextBackward) {
  Plan plan = plan_over({{"data", 2}}, 8);
  plan.data_parallel.bucket_bytes = std::int64_t{256} * 256 * 4;
  const Program program = train_program(plan);
  ASSERT_EQ(text_of(program), "Load F0 F1 Loss B1 AllReduce(1) B0 AllReduce(0) Agree Update");
  const auto needs = dependencies(program);
  EXPECT_THAT(needs[5], ElementsAre(4));        // the gradients of B1
  EXPECT_THAT(needs[6], ElementsAre(4));        // B0 does not wait for the reduction
  EXPECT_THAT(needs[7], ElementsAre(5, 6));     // its lane, and B0
  EXPECT_THAT(needs[8], ElementsAre(3, 7));     // the loss, and the last reduction
  EXPECT_THAT(needs[9], ElementsAre(6, 7, 8));  // in three lanes
}

TEST(Dependencies, AReceiveWaitsOnlyForItsPredecessorFromThatPeer) {
  const Program program = train_program(plan_over({{"pipe", 2}}, 8, 2), 1);
  ASSERT_EQ(text_of(program),
            "Load Receive(A0.0<0) F1.0 Loss.0 Receive(A0.1<0) F1.1 Loss.1 B1.0 Send(G0.0>0) B1.1 "
            "Send(G0.1>0) Agree Update");
  const auto needs = dependencies(program);
  EXPECT_THAT(needs[1], IsEmpty());
  EXPECT_THAT(needs[4], ElementsAre(1));
  EXPECT_THAT(needs[2], ElementsAre(0, 1));
  EXPECT_THAT(needs[8], ElementsAre(7));
  EXPECT_THAT(needs[9], ElementsAre(4, 7));  // what it reads; not the send before it
}

TEST(Dependencies, WhatIsOverwrittenOrFreedWaitsForItsReaders) {
  const Value x = activation(0);
  Op overwrite = forward(0);
  Program program = program_of(0, {forward(0), send(x, 1, 4), send(x, 2, 4), overwrite});
  EXPECT_THAT(dependencies(program)[3], ElementsAre(0, 1, 2));
  Op free = forward(5);
  free.frees = {x};
  free.reads.clear();
  program = program_of(0, {forward(0), send(x, 1, 4), free});
  EXPECT_THAT(dependencies(program)[2], ElementsAre(0, 1));
  program = program_of(0, {forward(0), free, receive(x, 1, 4)});
  EXPECT_THAT(dependencies(program)[2], ElementsAre(1));  // not before the free
}

TEST(Versions, CountTheWritesBefore) {
  const Program program = train_program(plan_over({}, 8, 2), 0, 1);
  ASSERT_EQ(text_of(program), "Load F0.0 Loss.0 B0.0 F0.1 Loss.1 B0.1 Agree Update");
  const auto version = [](const std::vector<Use>& uses, const Value& value) {
    for (const Use& use : uses) {
      if (use.value == value) return use.version;
    }
    return -1;
  };
  EXPECT_EQ(version(program.ops[3].accumulates, gradient(0)), 0);
  EXPECT_EQ(version(program.ops[6].accumulates, gradient(0)), 1);
  EXPECT_EQ(version(program.ops[7].reads, gradient(0)), 2);
  EXPECT_EQ(version(program.ops[1].writes, activation(0, 0)), 0);
  EXPECT_EQ(version(program.ops[2].reads, activation(0, 0)), 1);
  EXPECT_EQ(version(program.ops[8].accumulates, {ValueKind::parameter, 0, -1, 0}), 0);
}

TEST(Versions, CountOnThroughARepeatedForward) {
  Plan plan = plan_over({}, 8);
  plan.recompute.mode = RecomputeMode::all;
  const Program program = train_program(plan);
  ASSERT_EQ(text_of(program), "Load F0 F1 Loss B1 R0 B0 Agree Update");
  EXPECT_EQ(program.ops[5].writes[0], (Use{activation(0), 1}));
}

TEST(BytesOf, AreUpperBoundsAtTheLargestMicroBatch) {
  auto chain = chain_facts(2, {.features = 10, .saved = {.fixed = 100, .per_sample = 8}});
  chain[0].buffers = {{.name = "m", .shape = {3}, .dims = {""}, .type = ElementType::float64}};
  chain[1].outputs.push_back({.name = "mask",
                              .sample_shape = {10},
                              .type = ElementType::boolean,
                              .differentiable = false});
  Program program{.micro_batch_samples = 4};
  const auto bytes = [&](ValueKind kind, int block, int index = -1) {
    return bytes_of({kind, block, 0, index}, program, chain, 2);
  };
  EXPECT_EQ(bytes(ValueKind::activation, 0), 160);
  EXPECT_EQ(bytes(ValueKind::activation, 1), 200);
  EXPECT_EQ(bytes(ValueKind::activation_gradient, 1), 160);  // no gradient of the mask
  EXPECT_EQ(bytes(ValueKind::saved, 0), 132);
  EXPECT_EQ(bytes(ValueKind::parameter, 0, 0), 400);
  EXPECT_EQ(bytes(ValueKind::gradient, 0, 1), 40);
  EXPECT_EQ(bytes(ValueKind::optimizer_state, 0, 0), 800);
  EXPECT_EQ(bytes(ValueKind::buffer, 0, 0), 24);
  EXPECT_EQ(bytes(ValueKind::batch, -1), 4 * (40 + 16));
  program.stage = 1;  // no inputs
  EXPECT_EQ(bytes(ValueKind::batch, -1), 4 * 16);
}

TEST(Digest, ChangesWithEverythingButCosts) {
  const auto digest = [](auto change) {
    auto chain = chain_facts(2);
    Plan plan = plan_over({{"data", 2}}, 8);
    change(chain, plan);
    return compile(chain, plan).digest();
  };
  using Chain = std::vector<BlockFacts>;
  const std::string base = digest([](Chain&, Plan&) {});
  EXPECT_EQ(base.size(), 64u);
  EXPECT_EQ(digest([](Chain& c, Plan&) { c[0].forward.core.fixed = 1; }), base);
  EXPECT_NE(digest([](Chain& c, Plan&) { c[0].kind = "other"; }), base);
  EXPECT_NE(digest([](Chain& c, Plan&) { c[0].parameters[0].name = "w"; }), base);
  EXPECT_NE(digest([](Chain&, Plan& p) { p.batch = 9; }), base);
  EXPECT_NE(digest([](Chain&, Plan& p) { p.data_parallel.bucket_bytes = 5; }), base);
  EXPECT_NE(digest([](Chain&, Plan& p) { p.mesh = Mesh({{"data", 4}}); }), base);
}

TEST(Digest, ChangesWithAProgram) {
  Programs programs = compile(chain_facts(2), plan_over({}, 8));
  const std::string base = programs.digest();
  programs.named.at("train")[0].ops[1].frees.push_back(activation(0));
  EXPECT_NE(programs.digest(), base);
}

TEST(Groups, AreFoundAgain) {
  Program program;
  EXPECT_EQ(program.group_index({"world", {0, 1}}), 0);
  EXPECT_EQ(program.group_index({"data", {0, 1}}), 1);
  EXPECT_EQ(program.group_index({"world", {0, 1}}), 0);
  EXPECT_EQ(program.groups.size(), 2u);
}

TEST(Blocks, AreThoseRunForwardOnceEach) {
  const Program program = program_of(0, {forward(3), forward(2), forward(3)});
  EXPECT_THAT(program.blocks(), ElementsAre(2, 3));
}

}  // namespace
}  // namespace shoal

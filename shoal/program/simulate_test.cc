#include "shoal/program/simulate.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "shoal/core/error.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kExact = 1e-12;

BlockSizes core_seconds(double forward, double backward = 0) {
  return {.forward = {.core = {.fixed = forward}}, .backward = {.core = {.fixed = backward}}};
}

BlockSizes wait_seconds(double forward, double backward = 0) {
  return {.forward = {.wait = {.fixed = forward}}, .backward = {.wait = {.fixed = backward}}};
}

const GroupFacts kPair{.name = "world", .ranks = {0, 1}};

// No cost but what a test asks for.
Machine plain_machine() {
  return {.local_latency_seconds = 0,
          .reduce_core_seconds_per_byte = 0,
          .update_core_seconds_per_byte = 0};
}

TEST(Simulate, AddsUpOperationsOfOneRank) {
  const RankPrograms programs{program_of(0, {forward(0), forward(1)})};
  const auto timeline = simulate(programs, chain_facts(2, core_seconds(0.25)), plain_machine());
  EXPECT_NEAR(timeline.makespan, 0.5, kExact);
  EXPECT_NEAR(timeline.ranks[0][1].start, 0.25, kExact);
  EXPECT_NEAR(timeline.busy[0], 0.5, kExact);
  EXPECT_EQ(timeline.communication[0], 0);
}

TEST(Simulate, CostGrowsWithTheSamples) {
  RankPrograms programs{program_of(0, {forward(0)})};
  programs[0].micro_batch_samples = 10;
  const auto chain = chain_facts(1, {.forward = {.core = {.fixed = 0.5, .per_sample = 0.01}}});
  EXPECT_NEAR(simulate(programs, chain, plain_machine()).makespan, 0.6, kExact);
}

TEST(Simulate, ComputesAndThenWaits) {
  const RankPrograms programs{program_of(0, {forward(0)})};
  const auto chain = chain_facts(1, {.forward = {.core = {.fixed = 0.2}, .wait = {.fixed = 0.1}}});
  EXPECT_NEAR(simulate(programs, chain, plain_machine()).makespan, 0.3, kExact);
}

TEST(Simulate, TwoWorkersOnOneCoreTakeTwiceAsLong) {
  const RankPrograms programs{program_of(0, {forward(0)}), program_of(1, {forward(0)})};
  Machine machine = plain_machine();
  machine.workers_per_host = 2;
  const auto chain = chain_facts(1, core_seconds(1));
  EXPECT_NEAR(simulate(programs, chain, machine).makespan, 2, kExact);
  machine.cores_per_host = 2;
  EXPECT_NEAR(simulate(programs, chain, machine).makespan, 1, kExact);
}

TEST(Simulate, WaitingIsNotShared) {
  const RankPrograms programs{program_of(0, {forward(0)}), program_of(1, {forward(0)})};
  EXPECT_NEAR(simulate(programs, chain_facts(1, wait_seconds(1)), plain_machine()).makespan, 1,
              kExact);
}

TEST(Simulate, WorkersOfAHostShareItsMemory) {
  // Two messages of 1 MB inside a host: each is read and written, 2 MB through its memory.
  const RankPrograms programs{program_of(0, {send(activation(0), 1, 1'000'000)}),
                              program_of(1, {receive(activation(0), 0, 1'000'000)}),
                              program_of(2, {send(activation(0), 3, 1'000'000)}),
                              program_of(3, {receive(activation(0), 2, 1'000'000)})};
  const auto chain = chain_facts(1);
  Machine machine = plain_machine();
  machine.workers_per_host = 4;
  machine.memory_bytes_per_second = 2e6;
  EXPECT_NEAR(simulate(programs, chain, machine).makespan, 2, kExact);
  machine.workers_per_host = 2;  // a host each
  machine.link_bytes_per_second = 1e9;
  EXPECT_NEAR(simulate(programs, chain, machine).makespan, 1, kExact);
}

TEST(Simulate, AMessageTakesTheLinkBesideCompute) {
  // Rank 0 goes on with F1 (0.3 s) while A0 (1 s and latency) is under way.
  const RankPrograms programs{
      program_of(0, {forward(0), send(activation(0), 1, 1'000'000), forward(1)}),
      program_of(1, {receive(activation(0), 0, 1'000'000), forward(1)})};
  Machine machine = plain_machine();
  machine.link_bytes_per_second = 1e6;
  machine.link_latency_seconds = 0.125;
  const auto timeline = simulate(programs, chain_facts(2, core_seconds(0.25)), machine);
  const TimedOp& sent = timeline.ranks[0][1];
  const TimedOp& received = timeline.ranks[1][0];
  EXPECT_NEAR(sent.start, 0.25, kExact);
  EXPECT_NEAR(sent.end, 1.375, kExact);
  EXPECT_NEAR(timeline.ranks[0][2].start, 0.25, kExact);
  EXPECT_EQ(received.start, 0);
  EXPECT_NEAR(received.met, 0.25, kExact);
  EXPECT_NEAR(received.end, 1.375, kExact);
  EXPECT_NEAR(timeline.makespan, 1.625, kExact);
  // F1 hides 0.25 s of rank 0's sending; rank 1 has nothing else to do.
  EXPECT_THAT(timeline.communication,
              ElementsAre(DoubleNear(0.875, kExact), DoubleNear(1.125, kExact)));
}

TEST(Simulate, MessagesToOneHostShareItsLink) {
  RankPrograms programs;
  for (int rank = 0; rank < 2; ++rank) {
    programs.push_back(program_of(rank, {forward(0), send(activation(0), 2, 1'000'000)}));
  }
  programs.push_back(
      program_of(2, {receive(activation(0), 0, 1'000'000), receive(activation(0), 1, 1'000'000)}));
  // Two writers of one value would wait for each other.
  programs[2].ops[1].writes = {{activation(1)}};
  Machine machine = plain_machine();
  machine.link_bytes_per_second = 1e6;
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 2, kExact);
}

TEST(Simulate, AllReduceOverLinksIsTwoShot) {
  constexpr int kRanks = 4;
  GroupFacts world{.name = "world", .ranks = {}};
  for (int rank = 0; rank < kRanks; ++rank) world.ranks.push_back(rank);
  RankPrograms programs;
  for (int rank = 0; rank < kRanks; ++rank) {
    programs.push_back(program_of(rank, {all_reduce(gradient(0), 0, 4'000'000)}, {world}));
  }
  Machine machine = plain_machine();
  machine.link_bytes_per_second = 1e6;
  machine.link_latency_seconds = 0.01;
  // 2 (n-1)/n of 4 MB at 1 MB/s, and two latencies.
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 6.02, kExact);
  // Two workers a host: each sends 2 x 2/4 of the bytes out, both through one link.
  machine.workers_per_host = 2;
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 8.02, kExact);
}

TEST(Simulate, AllReduceInsideAHostTakesPathAndCore) {
  RankPrograms programs;
  for (int rank = 0; rank < 2; ++rank) {
    programs.push_back(program_of(rank, {all_reduce(gradient(0), 0, 1'000'000)}, {kPair}));
  }
  Machine machine = plain_machine();
  machine.cores_per_host = 2;
  machine.local_bytes_per_second = 4e6;
  machine.local_latency_seconds = 0.001;
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 0.252, kExact);
  machine.reduce_core_seconds_per_byte = 1e-6;
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 1.002, kExact);
  machine.cores_per_host = 1;
  EXPECT_NEAR(simulate(programs, chain_facts(1), machine).makespan, 2.002, kExact);
}

TEST(Simulate, ACollectiveWaitsForTheLastMember) {
  RankPrograms programs{
      program_of(0, {all_reduce(gradient(0), 0, 1'000'000)}, {kPair}),
      program_of(1, {forward(0), all_reduce(gradient(0), 0, 1'000'000)}, {kPair})};
  programs[1].ops[1].reads = {{activation(0)}};
  Machine machine = plain_machine();
  machine.local_bytes_per_second = 1e6;
  const auto timeline = simulate(programs, chain_facts(1, core_seconds(2)), machine);
  const TimedOp& early = timeline.ranks[0][0];
  EXPECT_EQ(early.start, 0);
  EXPECT_NEAR(early.met, 2, kExact);
  EXPECT_NEAR(early.end, 3, kExact);
  EXPECT_NEAR(timeline.ranks[1][1].end, 3, kExact);
  EXPECT_NEAR(timeline.communication[0], 1, kExact);  // not the waiting
}

// F0, then an all-reduce of 1 s and at the same time F1 of 1 s.
RankPrograms reduce_beside_forward() {
  RankPrograms programs;
  for (int rank = 0; rank < 2; ++rank) {
    Op first = forward(0);
    first.accumulates = {{gradient(0)}};
    programs.push_back(
        program_of(rank, {first, all_reduce(gradient(0), 0, 1'000'000), forward(1)}, {kPair}));
  }
  return programs;
}

TEST(Simulate, ABlockThatSumsOverTheBatchWaitsForTheOthers) {
  auto chain = chain_facts(1);
  chain[0].forward.wait.per_sample = 1;
  chain[0].forward_sums = {{.elements = 1}, {.elements = 1}};
  Plan plan = plan_over({{"data", 2}}, 3);
  RankPrograms programs = train_programs(chain, plan);
  programs[1].micro_batch_samples = 1;  // has less to do, and waits for rank 0's two samples
  Machine machine;
  machine.local_latency_seconds = 0.25;
  const Timeline timeline = simulate(programs, chain, machine);
  for (int rank = 0; rank < 2; ++rank) {
    const auto& forward = timeline.ranks[rank].at(1);
    EXPECT_NEAR(forward.end - forward.start, 2 + 2 * 2 * 0.25, 1e-3) << rank;
  }
}

TEST(Simulate, WithoutACommunicationThreadGroupsHoldUpCompute) {
  Machine machine = plain_machine();
  machine.cores_per_host = 2;
  machine.local_bytes_per_second = 1e6;
  const auto chain = chain_facts(2, core_seconds(1));
  const auto beside = simulate(reduce_beside_forward(), chain, machine);
  EXPECT_NEAR(beside.makespan, 2, kExact);
  EXPECT_NEAR(beside.communication[0], 0, kExact);
  machine.communication_thread = false;
  const auto in_turn = simulate(reduce_beside_forward(), chain, machine);
  EXPECT_NEAR(in_turn.makespan, 3, kExact);
  EXPECT_NEAR(in_turn.communication[0], 1, kExact);
}

TEST(Simulate, ReducingOnTheTrainingCoreGainsNothingFromOverlap) {
  Machine machine = plain_machine();
  machine.cores_per_host = 2;
  machine.local_bytes_per_second = 1e12;
  machine.memory_bytes_per_second = 1e12;
  machine.reduce_core_seconds_per_byte = 1e-6;
  const auto chain = chain_facts(2, core_seconds(1));
  EXPECT_NEAR(simulate(reduce_beside_forward(), chain, machine).makespan, 3, 1e-4);
}

TEST(Simulate, LoadAndUpdateTakeTheCore) {
  Op load{.kind = OpKind::load};
  Op update{.kind = OpKind::update};
  update.accumulates = {{{.kind = ValueKind::parameter, .block = 0, .index = 0}}};
  RankPrograms programs{program_of(0, {load, update})};
  programs[0].micro_batches = 4;
  programs[0].micro_batch_samples = 5;
  Machine machine = plain_machine();
  machine.load_core_seconds_per_sample = 0.1;
  machine.update_core_seconds_per_byte = 1e-3;
  const auto timeline = simulate(programs, chain_facts(1, {.features = 16}), machine);
  EXPECT_NEAR(timeline.ranks[0][0].end, 2, kExact);
  EXPECT_NEAR(timeline.makespan, 2 + 1.024, kExact);
  EXPECT_NEAR(timeline.busy[0], 1.024, kExact);
}

TEST(Simulate, DataParallelBackwardHidesTheReduction) {
  Plan plan = plan_over({{"data", 2}}, 16);
  plan.data_parallel.bucket_bytes = 1;
  const auto chain = chain_facts(4, wait_seconds(0.1, 0.2));
  Machine machine = plain_machine();
  machine.link_bytes_per_second = 256 * 257 * 4 / 0.1;  // a block's gradients in 0.1 s
  const auto timeline = simulate(train_programs(chain, plan), chain, machine);
  // Only the reduction of the lowest block is not beside a backward; Agree is small.
  EXPECT_NEAR(timeline.makespan, 4 * 0.3 + 0.1, 0.005);
  EXPECT_NEAR(timeline.communication[0], 0.1, 0.005);
  EXPECT_NEAR(timeline.busy[0], 1.2, 0.001);
}

TEST(Simulate, GpipeBubbleIsThatOfThePaper) {
  for (const auto& [p, m] : std::vector<std::pair<int, int>>{{2, 1}, {2, 8}, {3, 3}, {4, 8}}) {
    const auto chain = chain_facts(p, wait_seconds(0.1, 0.2));
    const auto plan = plan_over({{"pipe", p}}, m, m);
    const auto timeline = simulate(train_programs(chain, plan), chain, plain_machine());
    const double ideal = 0.3 * m;
    EXPECT_NEAR(timeline.makespan, ideal * (m + p - 1) / m, 1e-3) << p << " stages, " << m;
    for (const double busy : timeline.busy) EXPECT_NEAR(busy, ideal, 1e-9);
  }
}

TEST(Simulate, AThousandRanksTakeNoTensorAndLittleTime) {
  const auto chain = chain_facts(16, core_seconds(0.1, 0.2));
  const auto plan = plan_over({{"pipe", 8}, {"data", 128}}, 4096, 8);
  Machine machine{.cores_per_host = 8, .workers_per_host = 8, .link_bytes_per_second = 1e9};
  const auto timeline = simulate(train_programs(chain, plan), chain, machine);
  EXPECT_EQ(timeline.ranks.size(), 1024U);
  EXPECT_GT(timeline.makespan, (8 + 7) * 2 * 0.3);
}

TEST(Simulate, IsTheSameEveryTime) {
  const auto chain = chain_facts(6, core_seconds(0.013, 0.029));
  const auto programs = train_programs(chain, plan_over({{"pipe", 3}, {"data", 2}}, 24, 4));
  const Machine machine{.cores_per_host = 2, .workers_per_host = 3, .link_bytes_per_second = 1e8};
  const auto first = simulate(programs, chain, machine);
  const auto second = simulate(programs, chain, machine);
  EXPECT_EQ(first.makespan, second.makespan);
  EXPECT_EQ(first.busy, second.busy);
}

std::string refusal(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                    const Machine& machine) {
  try {
    simulate(programs, blocks, machine);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "";
}

TEST(Simulate, NamesTheOperationsThatWaitForEver) {
  // Each receives before it sends what the other waits for.
  const auto crossed = [](int rank) {
    Op sending = send(activation(1), 1 - rank, 8);
    sending.reads.push_back({activation(0)});
    return program_of(rank, {receive(activation(0), 1 - rank, 8), sending});
  };
  const auto text = refusal({crossed(0), crossed(1)}, chain_facts(2), plain_machine());
  EXPECT_THAT(text, HasSubstr("do not finish"));
  EXPECT_THAT(text, HasSubstr("rank 0 in operation 0 Receive(A0<1)"));
  EXPECT_THAT(text, HasSubstr("rank 1 in operation 0 Receive(A0<0)"));
}

TEST(Simulate, NamesACollectiveThatAMemberLacks) {
  const RankPrograms programs{program_of(0, {all_reduce(gradient(2), 0, 8)}, {kPair}),
                              program_of(1, {}, {kPair})};
  EXPECT_THAT(refusal(programs, chain_facts(3), plain_machine()),
              HasSubstr("rank 0 in operation 0 AllReduce(2)"));
}

TEST(Simulate, RefusesWhatIsNotThere) {
  const auto chain = chain_facts(1);
  EXPECT_THAT(refusal({program_of(0, {forward(1)})}, chain, plain_machine()),
              HasSubstr("rank 0, operation 0 F1 names block 1"));
  EXPECT_THAT(refusal({program_of(0, {send(activation(0), 3, 8)})}, chain, plain_machine()),
              HasSubstr("names rank 3"));
  EXPECT_THAT(refusal({program_of(0, {all_reduce(gradient(0), 2, 8)})}, chain, plain_machine()),
              HasSubstr("names group 2"));
  EXPECT_THAT(refusal({program_of(1, {})}, chain, plain_machine()), HasSubstr("that of rank 1"));
}

TEST(Machine, ListsAllFaults) {
  const Machine machine{.cores_per_host = 0,
                        .memory_bytes_per_second = 0,
                        .link_bytes_per_second = -1,
                        .local_latency_seconds = std::numeric_limits<double>::quiet_NaN()};
  EXPECT_EQ(machine.problems().size(), 4U);
  EXPECT_TRUE(Machine{}.problems().empty());
  EXPECT_THAT(refusal({program_of(0, {})}, chain_facts(1), machine),
              HasSubstr("cores_per_host is 0"));
}

}  // namespace
}  // namespace shoal

#include "shoal/program/op.h"

#include <gmock/gmock.h>

#include <unordered_set>

#include "shoal/program/op_maker.h"
#include "shoal/program/test_programs.h"

namespace shoal {
namespace {

using namespace testing_programs;
using testing::ElementsAre;

TEST(OpText, SaysKindBlockAndMicroBatch) {
  EXPECT_EQ(text_of(forward(0), 1), "F0");
  EXPECT_EQ(text_of(forward(0, 2), 3), "F0.2");
  Op again = forward(1);
  again.mode = ForwardMode::recompute;
  EXPECT_EQ(text_of(again, 2), "R1.0");
  EXPECT_EQ(text_of(Op{.kind = OpKind::loss, .micro_batch = 1}, 2), "Loss.1");
  EXPECT_EQ(text_of(send(activation(0, 1), 2, 4), 2), "Send(A0.1>2)");
  EXPECT_EQ(text_of(receive({ValueKind::activation_gradient, 0, 1}, 0, 4), 2), "Receive(G0.1<0)");
  EXPECT_EQ(text_of(Op{.kind = OpKind::send}, 1), "Send(?>-1)");
}

TEST(OpText, AReductionNamesEachBlockOnce) {
  Op op{.kind = OpKind::all_reduce};
  op.accumulates = {{gradient(2, 0)}, {gradient(2, 1)}, {gradient(1, 0)}};
  EXPECT_EQ(text_of(op, 1), "AllReduce(2,1)");
}

TEST(OpText, ValuesHaveNamesOfTheirOwn) {
  const auto text = [](ValueKind kind) { return text_of(Value{kind, 1, 2, 3}, 4); };
  EXPECT_EQ(text(ValueKind::batch), "batch.2");
  EXPECT_EQ(text(ValueKind::activation), "A1.2");
  EXPECT_EQ(text(ValueKind::saved), "saved 1.2");
  EXPECT_EQ(text(ValueKind::optimizer_state), "optimizer_state 1:3");
  EXPECT_EQ(text(ValueKind::agreed), "agreed");
}

TEST(Lanes, OneForComputeOneAGroupAndOneADirectionToAPeer) {
  EXPECT_EQ(lane_of(forward(3)), lane_of(Op{.kind = OpKind::update}));
  EXPECT_EQ(lane_of(send(activation(0), 2, 4)), (Lane{Lane::Kind::send, 2}));
  EXPECT_EQ(lane_of(receive(activation(0), 2, 4)), (Lane{Lane::Kind::receive, 2}));
  EXPECT_EQ(lane_of(all_reduce(gradient(0), 1, 4)), (Lane{Lane::Kind::group, 1}));
  EXPECT_EQ(lane_of(Op{.kind = OpKind::agree, .group = 1}), (Lane{Lane::Kind::group, 1}));
}

TEST(ValueHash, TellsNearbyValuesApart) {
  std::unordered_set<std::size_t> hashes;
  for (int kind = 0; kind < 10; ++kind) {
    for (int block = -1; block < 20; ++block) {
      for (int micro_batch = -1; micro_batch < 10; ++micro_batch) {
        for (int index = -1; index < 5; ++index) {
          hashes.insert(ValueHash{}({static_cast<ValueKind>(kind), block, micro_batch, index}));
        }
      }
    }
  }
  EXPECT_EQ(hashes.size(), 10u * 21 * 11 * 6);
}

TEST(OpMaker, GradientsFollowTheRecordAndForgottenOnesComeLast) {
  BlockFacts block = block_facts(0);
  for (int i = 2; i < 5; ++i) block.parameters.push_back({.name = "p", .shape = {1}, .dims = {""}});
  block.gradient_order = {4, 1, 9, 4};  // 9 is not there, 4 comes once
  block.parameters[2].trainable = false;
  EXPECT_THAT(gradients_in_order(block), ElementsAre(4, 1, 0, 3));
}

TEST(OpMaker, TransfersHaveTheTypeOfWhatTheyCarry) {
  auto chain = chain_facts(2);
  chain[0].outputs[0].type = ElementType::bfloat16;
  const OpMaker make(chain, ProgramKind::train, 3);
  const Op op = make.send(activation(0), 1);
  EXPECT_EQ(op.type, ElementType::bfloat16);
  EXPECT_EQ(op.bytes, 3 * 256 * 2);
}

}  // namespace
}  // namespace shoal

#include "shoal/comm/failure.h"

#include <gtest/gtest.h>

#include <set>

namespace shoal {
namespace {

const Place kPlace{"all_reduce", 182, "data"};

TEST(Failure, SaysWhoIsMissingWhereAndSinceWhen) {
  EXPECT_STREQ(
      not_joined(kPlace, {3}, {0, 1, 2}, std::chrono::milliseconds(30000)).what(),
      "rank 3 has not joined all_reduce #182 of group data; ranks 0, 1 and 2 have waited 30 s");
  EXPECT_EQ(not_joined(kPlace, {1, 3}, {0}, {}).missing, (std::vector<int>{1, 3}));
  EXPECT_STREQ(peer_gone(kPlace, 2, "has died").what(),
               "rank 2 has died during all_reduce #182 of group data");
}

TEST(Failure, NamesWhatEachRankCalled) {
  const Call a{.operation = Operation::all_reduce,
               .type = ElementType::bfloat16,
               .op = ReduceOp::max,
               .elements = 7};
  const Call b{
      .operation = Operation::broadcast, .type = ElementType::int8, .root = 3, .elements = 9};
  EXPECT_STREQ(calls_differ(kPlace, {a.packed(), b.packed(), 0}).what(),
               "the ranks' calls for operation #182 of group data differ: rank 0 called "
               "all_reduce(max, 7 x bfloat16), rank 1 called broadcast(9 x int8, root 3), rank 2 "
               "has not been heard yet");
  EXPECT_STREQ(calls_differ(kPlace, {0, a.packed(), 0, b.packed(), a.packed()}).what(),
               "the ranks' calls for operation #182 of group data differ: ranks 0 and 2 have not "
               "been heard yet, ranks 1 and 4 called all_reduce(max, 7 x bfloat16), rank 3 called "
               "broadcast(9 x int8, root 3)");
}

TEST(Failure, PackedCallsAreEqualExactlyWhenTheCallsAre) {
  const Call call{.operation = Operation::reduce_scatter,
                  .type = ElementType::boolean,
                  .op = ReduceOp::min,
                  .algorithm = Algorithm::ring,
                  .root = 4095,
                  .elements = (1ULL << 36) - 1};
  EXPECT_EQ(Call::unpacked(call.packed()).packed(), call.packed());
  EXPECT_EQ(Call::unpacked(call.packed()).text(), call.text());
  // Every field has room for its largest value and touches no other.
  std::set<std::uint64_t> words;
  for (const Operation operation : {Operation::all_reduce, Operation::reduce_scatter_lists}) {
    for (const Algorithm algorithm : {Algorithm::two_shot, Algorithm::hierarchical}) {
      for (const ElementType type : {ElementType::float32, ElementType::boolean}) {
        for (const ReduceOp op : {ReduceOp::sum, ReduceOp::bit_xor}) {
          for (const int root : {0, 4095}) {
            for (const std::uint64_t elements : {0ULL, (1ULL << 36) - 1}) {
              words.insert(Call{operation, type, op, algorithm, root, elements}.packed());
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(words.size(), 64U);
  EXPECT_NE(Call{}.packed(), 0U);
}

TEST(Failure, TheFirstErrorOfAGroupStays) {
  Spent spent;
  spent.rethrow_if_set();
  EXPECT_TRUE(spent.set(std::make_exception_ptr(PeerLost("first", {1}))));
  EXPECT_FALSE(spent.set(std::make_exception_ptr(Cancelled("second"))));
  EXPECT_THROW(spent.rethrow_if_set(), PeerLost);
}

}  // namespace
}  // namespace shoal

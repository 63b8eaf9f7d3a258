// Buffers that all ranks can reach: the same bits as ordinary ones, also when only some ranks have
// them, and memory that comes back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <tuple>

#include "shoal/comm/arena.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

// float32 values, ordinary or shared, from an element of their own on.
class Values {
 public:
  Values(Group& group, std::size_t elements, bool shared, std::size_t skipped = 0)
      : memory_(shared ? group.allocate((elements + skipped) * 4) : nullptr),
        ordinary_(shared ? 0 : elements),
        span_(shared ? std::span(reinterpret_cast<float*>(memory_.get()) + skipped, elements)
                     : std::span(ordinary_)) {}
  std::span<float> span() { return span_; }
  Buffer all() { return buffer(span_); }

 private:
  std::shared_ptr<std::byte> memory_;
  std::vector<float> ordinary_;
  std::span<float> span_;
};

float input(int rank, std::size_t i, std::uint64_t call) {
  return static_cast<float>(mixed(i * 8 + static_cast<std::uint64_t>(rank), call) % 100000) / 7.0F;
}

void fill(std::span<float> values, int rank, std::uint64_t call) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = input(rank, i, call);
}

// In the order of ranks, as two_shot adds.
std::vector<float> sum(int size, std::size_t elements, std::uint64_t call) {
  std::vector<float> sums(elements);
  for (std::size_t i = 0; i < elements; ++i) {
    sums[i] = input(0, i, call);
    for (int rank = 1; rank < size; ++rank) sums[i] += input(rank, i, call);
  }
  return sums;
}

bool same(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class SharedBuffers : public testing::TestWithParam<std::tuple<Engine, int>> {
 protected:
  int size() const { return std::get<1>(GetParam()); }
  // The body is given whose buffers are shared: of all, of some, of none.
  void with_groups(const std::function<void(Group&, bool shared)>& body) const {
    CommOptions options;
    options.engine = std::get<0>(GetParam());
    with_group(size(), options, [&](Group& group) {
      const unsigned all = (1U << size()) - 1;
      for (const unsigned which : std::set<unsigned>{0, 1, all & ~1U, all}) {
        body(group, ((which >> group.rank()) & 1) != 0);
      }
    });
  }
};

TEST_P(SharedBuffers, AllReduceGivesTheSameBits) {
  with_groups([](Group& group, bool shared) {
    for (const std::size_t elements : {1U, 600U, 1025U, 17001U, 150007U}) {
      for (std::uint64_t call = 0; call < 2; ++call) {
        Values values(group, elements, shared, call);
        fill(values.span(), group.rank(), call);
        const Buffer all = values.all();
        group.all_reduce({&all, 1}, ReduceOp::sum, soon());
        ASSERT_TRUE(same(values.span(), sum(group.size(), elements, call))) << elements;
      }
    }
  });
}

TEST_P(SharedBuffers, ReduceScatterGivesTheSameBits) {
  with_groups([](Group& group, bool shared) {
    for (const std::size_t piece : {1U, 601U, 100003U}) {
      const std::size_t elements = piece * static_cast<std::size_t>(group.size());
      Values values(group, elements, shared);
      Values out(group, piece, !shared);
      fill(values.span(), group.rank(), piece);
      group.reduce_scatter(values.all(), out.all(), ReduceOp::sum, soon());
      const std::vector<float> sums = sum(group.size(), elements, piece);
      ASSERT_TRUE(same(out.span(), std::span(sums).subspan(piece * group.rank(), piece)));
      // Nobody may still be reading.
      fill(values.span(), 9, 1);
    }
  });
}

TEST_P(SharedBuffers, AllGatherAndBroadcastGiveTheSameBits) {
  with_groups([](Group& group, bool shared) {
    for (const std::size_t piece : {1U, 601U, 140003U}) {
      Values in(group, piece, shared);
      Values out(group, piece * static_cast<std::size_t>(group.size()), !shared);
      fill(in.span(), group.rank(), piece);
      group.all_gather(in.all(), out.all(), soon());
      fill(in.span(), 9, 1);
      std::vector<float> theirs(piece);
      for (int rank = 0; rank < group.size(); ++rank) {
        fill(theirs, rank, piece);
        ASSERT_TRUE(same(out.span().subspan(piece * rank, piece), theirs)) << rank;
      }
      for (int root = 0; root < group.size(); ++root) {
        fill(in.span(), group.rank(), 7);
        group.broadcast(in.all(), root, soon());
        fill(theirs, root, 7);
        ASSERT_TRUE(same(in.span(), theirs)) << "from " << root;
        if (group.rank() == root) fill(in.span(), 9, 1);
      }
    }
  });
}

// Every operation, mixed, with buffers that come and go.
TEST_P(SharedBuffers, AStormOfMixedCallsStaysRight) {
  with_groups([](Group& group, bool shared) {
    for (std::uint64_t call = 0; call < 12; ++call) {
      const std::size_t elements = mixed(call, 1) % 40000 * static_cast<std::size_t>(group.size());
      Values values(group, elements, shared != (call % 3 == 0));
      fill(values.span(), group.rank(), call);
      const Buffer all = values.all();
      if (mixed(call, 2) % 2 == 0) {
        group.broadcast(all, static_cast<int>(call % group.size()), soon());
        std::vector<float> theirs(elements);
        fill(theirs, static_cast<int>(call % group.size()), call);
        ASSERT_TRUE(same(values.span(), theirs)) << call;
      } else {
        group.all_reduce({&all, 1}, ReduceOp::sum, soon());
        ASSERT_TRUE(same(values.span(), sum(group.size(), elements, call))) << call;
      }
    }
  });
}

TEST_P(SharedBuffers, CountAsManyBytesAsOrdinaryOnes) {
  with_groups([](Group& group, bool shared) {
    const std::size_t elements = static_cast<std::size_t>(group.size()) * 16384;
    Values values(group, elements, shared);
    const Buffer all = values.all();
    const std::uint64_t before = group.bytes_sent();
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    // The parts of staging memory begin at cache lines of each chunk: 3 ranks do not divide them.
    const auto off = static_cast<std::uint64_t>(group.size() == 3 ? 64 * 8 : 0);
    const std::uint64_t expected = 2 * (elements * 4 - 65536);
    EXPECT_NEAR(static_cast<double>(group.bytes_sent() - before), static_cast<double>(expected),
                static_cast<double>(off));
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, SharedBuffers,
                         testing::Combine(testing::Values(Engine::memory, Engine::shm),
                                          testing::Values(1, 2, 3, 4)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", name_of(std::get<0>(info.param)),
                                              std::get<1>(info.param));
                         });

TEST(ArenaTest, GivesMemoryThatIsZeroAndTakesItBack) {
  const auto arena = std::make_shared<Arena>(Region::in_process(2), 1);
  std::vector<std::shared_ptr<std::byte>> held;
  for (std::uint64_t turn = 0; turn < 400; ++turn) {
    const std::size_t bytes = mixed(turn, 3) % (turn % 5 == 0 ? 100000 : 500);
    auto memory = arena->allocate(bytes);
    ASSERT_TRUE(memory);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 4096, 0U);
    EXPECT_NE(arena->place_of(memory.get(), std::max<std::size_t>(bytes, 1)), 0U);
    for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(memory.get()[i], std::byte{0}) << bytes;
    std::memset(memory.get(), 0x5a, bytes);
    held.push_back(std::move(memory));
    if (held.size() > 30) held.erase(held.begin() + static_cast<std::ptrdiff_t>(turn % 30));
  }
  EXPECT_GT(arena->bytes_in_use(), 0U);
  held.clear();
  EXPECT_EQ(arena->bytes_in_use(), 0U);
}

TEST(ArenaTest, HasAnEnd) {
  const auto region = Region::in_process(2);
  const auto arena = std::make_shared<Arena>(region, 0);
  const std::size_t all = region->shape().arena_bytes;
  EXPECT_FALSE(arena->allocate(all + 1));
  auto most = arena->allocate(all - 4096);
  EXPECT_TRUE(most);
  EXPECT_FALSE(arena->allocate(8192));
  most.reset();
  EXPECT_TRUE(arena->allocate(all));
}

TEST(ArenaTest, OnlyWhatLiesInsideHasAPlace) {
  const auto region = Region::in_process(2);
  const auto arena = std::make_shared<Arena>(region, 0);
  std::byte elsewhere{};
  EXPECT_EQ(arena->place_of(&elsewhere, 1), 0U);
  EXPECT_EQ(arena->place_of(region->arena(1), 1), 0U);
  EXPECT_EQ(arena->place_of(region->arena(0), 1), 1U);
  EXPECT_EQ(arena->place_of(region->arena(0), region->shape().arena_bytes + 1), 0U);
  EXPECT_EQ(arena->place_of(nullptr, 4), 0U);
}

// Memory of a group is used by its owner after the group has gone.
TEST(ArenaTest, OutlivesItsGroup) {
  std::shared_ptr<std::byte> kept;
  with_group(2, {}, [&](Group& group) {
    if (group.rank() == 0) kept = group.allocate(1 << 20);
    group.barrier(soon());
  });
  std::memset(kept.get(), 1, 1 << 20);
  EXPECT_EQ(kept.get()[(1 << 20) - 1], std::byte{1});
}

}  // namespace
}  // namespace shoal::test

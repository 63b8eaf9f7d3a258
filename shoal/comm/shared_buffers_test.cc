// Buffers that all ranks can reach: the same bits as ordinary ones, also when only some ranks have
// them, and memory that comes back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
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
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
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

// Some parts of a vector lie where all can reach them: all, some, or none of them on each rank.
TEST_P(SharedBuffers, VectorsOfSeveralPartsGiveTheSameBits) {
  with_groups([](Group& group, bool shared) {
    constexpr std::size_t kMany = 120;  // more than a rank can show
    for (const std::size_t count : {2U, 9U, 120U}) {
      for (std::uint64_t call = 0; call < 3; ++call) {
        std::vector<std::unique_ptr<Values>> parts;
        std::vector<Buffer> vector;
        std::size_t elements = 0;
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t here = count == kMany ? 100 + i : mixed(i, call) % 70000;
          // Call 0: all parts; 1: every other one; 2: others on every rank.
          const bool reachable =
              shared && (call == 0 || (i + (call == 2 ? group.rank() : 0)) % 2 == 0);
          parts.push_back(std::make_unique<Values>(group, here, reachable));
          for (std::size_t k = 0; k < here; ++k) {
            parts.back()->span()[k] = input(group.rank(), elements + k, call);
          }
          vector.push_back(parts.back()->all());
          elements += here;
        }
        group.all_reduce(vector, ReduceOp::sum, soon());
        const std::vector<float> sums = sum(group.size(), elements, call);
        std::size_t begin = 0;
        for (const auto& part : parts) {
          const std::size_t here = part->span().size();
          ASSERT_TRUE(same(part->span(), std::span(sums).subspan(begin, here)))
              << count << " parts, call " << call << ", from element " << begin;
          begin += here;
        }
      }
    }
  });
}

// Ranks whose parts have other borders.
TEST_P(SharedBuffers, PartsThatDoNotMatchAreStaged) {
  with_groups([](Group& group, bool shared) {
    const std::size_t elements = 50000;
    const std::size_t border = group.rank() == 0 ? 20000 : 30000;
    Values first(group, border, shared), second(group, elements - border, shared);
    for (std::size_t i = 0; i < elements; ++i) {
      (i < border ? first.span()[i] : second.span()[i - border]) = input(group.rank(), i, 1);
    }
    const std::array<Buffer, 2> parts{first.all(), second.all()};
    group.all_reduce(parts, ReduceOp::sum, soon());
    const std::vector<float> sums = sum(group.size(), elements, 1);
    ASSERT_TRUE(same(first.span(), std::span(sums).first(border)));
    ASSERT_TRUE(same(second.span(), std::span(sums).subspan(border)));
  });
}

TEST_P(SharedBuffers, LargeBroadcastsGiveTheSameBits) {
  with_groups([](Group& group, bool shared) {
    const std::size_t elements = 400003;  // beyond a megabyte: all copy
    std::vector<float> theirs(elements);
    for (int root = 0; root < group.size(); ++root) {
      Values values(group, elements, shared, static_cast<std::size_t>(root));
      fill(values.span(), group.rank(), 3);
      group.broadcast(values.all(), root, soon());
      fill(theirs, root, 3);
      ASSERT_TRUE(same(values.span(), theirs)) << "from " << root;
      fill(values.span(), 9, 1);  // nobody may still be reading or writing
      ASSERT_EQ(values.span()[elements - 1], input(9, elements - 1, 1));
    }
  });
}

// Sizes that differ from pair to pair, some 0, from small to several chunks.
TEST_P(SharedBuffers, TransfersGiveTheSameBits) {
  with_groups([](Group& group, bool shared) {
    const int n = group.size();
    for (const std::size_t unit : {3U, 700U, 9001U, 150001U}) {
      const auto elements = [&](int giver, int taker) {
        return unit * ((static_cast<std::size_t>(giver) * 2 + taker) % 3);
      };
      std::vector<std::unique_ptr<Values>> given, taken;
      std::vector<ConstBuffer> in;
      std::vector<Buffer> out;
      for (int peer = 0; peer < n; ++peer) {
        given.push_back(std::make_unique<Values>(group, elements(group.rank(), peer), shared));
        taken.push_back(std::make_unique<Values>(group, elements(peer, group.rank()), !shared));
        fill(given.back()->span(), group.rank() * 8 + peer, unit);
        in.emplace_back(given.back()->all());
        out.push_back(taken.back()->all());
      }
      const auto expect_taken = [&](int giver, int meant_for) {
        std::vector<float> theirs(elements(giver, meant_for));
        fill(theirs, giver * 8 + meant_for, unit);
        return same(taken[giver]->span(), theirs);
      };
      group.all_to_all(in, out, soon());
      for (const auto& values : given) fill(values->span(), 99, 1);  // nobody may still be reading
      for (int giver = 0; giver < n; ++giver) {
        ASSERT_TRUE(expect_taken(giver, group.rank())) << unit << " from " << giver;
      }
    }
  });
}

// One piece for all of each rank.
TEST_P(SharedBuffers, GatheringListsGivesTheSameBits) {
  with_groups([](Group& group, bool shared) {
    for (const std::size_t unit : {2U, 500U, 200003U}) {
      const auto elements = [&](int rank) { return unit * static_cast<std::size_t>(rank); };
      Values in(group, elements(group.rank()), shared);
      fill(in.span(), group.rank(), unit);
      std::vector<std::unique_ptr<Values>> taken;
      std::vector<Buffer> out;
      for (int rank = 0; rank < group.size(); ++rank) {
        taken.push_back(std::make_unique<Values>(group, elements(rank), !shared));
        out.push_back(taken.back()->all());
      }
      group.all_gather(in.all(), out, soon());
      fill(in.span(), 9, 1);
      for (int rank = 0; rank < group.size(); ++rank) {
        std::vector<float> theirs(elements(rank));
        fill(theirs, rank, unit);
        ASSERT_TRUE(same(taken[rank]->span(), theirs)) << unit << " from " << rank;
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

// Its memory may hold anything by then. Rank 1 comes when rank 0 has given up, and has nobody to
// wait for once it has taken.
void expect_no_result_of_a_failed_rank(const std::string& operation, std::size_t elements,
                                       const std::function<void(Group&, Buffer, Deadline)>& call) {
  const Watchdog watchdog("a rank that lends memory and fails");
  std::atomic<bool> failed{false};
  with_group(2, {}, [&](Group& group) {
    Values values(group, elements, /*shared=*/group.rank() == 0);
    if (group.rank() == 0) {
      EXPECT_THROW(call(group, values.all(), Deadline::after(std::chrono::milliseconds(100))),
                   TimedOut);
      failed = true;
      return;
    }
    while (!failed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
      call(group, values.all(), soon());
      ADD_FAILURE() << "took from a rank that had failed";
    } catch (const PeerLost& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("rank 0"));
      EXPECT_THAT(error.what(), testing::HasSubstr(operation));
    }
  });
}

// What rank 1 gives is staged, in one chunk.
TEST(LentMemory, OfARankThatFailedIsNoResult) {
  expect_no_result_of_a_failed_rank("all_gather", 10000, [](Group& group, Buffer in, Deadline by) {
    std::vector<float> out(2 * in.elements);
    group.all_gather(in, buffer(std::span(out)), by);
  });
}

TEST(LentMemory, OfARootThatFailedIsNoResult) {
  expect_no_result_of_a_failed_rank("broadcast", 10000, [](Group& group, Buffer data, Deadline by) {
    group.broadcast(data, 0, by);
  });
}

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

// Every operation of every engine and algorithm against a serial result: worlds of 1 to 7, vectors
// from nothing to several chunks, all types.
#include "shoal/comm/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <functional>
#include <tuple>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/comm/try_group.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using Bytes = std::vector<std::byte>;

// Adds in the order that the algorithm promises.
Bytes reduced(ElementType type, ReduceOp op, Algorithm algorithm, int size, std::size_t elements) {
  return serial_sum(schedule_of(algorithm, size, on_two_hosts(size)), type, op, elements);
}

struct Setting {
  Engine engine;
  Algorithm algorithm;
  int size;
  CommOptions options() const { return options_of(engine, algorithm, size); }
};

class EverySchedule : public testing::TestWithParam<std::tuple<Engine, Algorithm, int>> {
 protected:
  Setting setting() const { return {std::get<0>(GetParam()), std::get<1>(GetParam()), size()}; }
  int size() const { return std::get<2>(GetParam()); }
};

// What does not depend on how sums are made is tried with few algorithms.
class EveryEngine : public EverySchedule {};

std::vector<std::size_t> some_lengths(int size) {
  return {0, 1, static_cast<std::size_t>(size) - 1, 12, 13, 510, 10007, 140001};
}

TEST_P(EverySchedule, AllReduceAddsInThePromisedOrder) {
  struct Case {
    ElementType type;
    ReduceOp op;
    std::size_t elements;
    Bytes expected;
  };
  std::vector<Case> cases;
  for (const ElementType type : kAllTypes) {
    for (const ReduceOp op : kAllReductions) {
      if (!can_reduce(type, op)) continue;
      // The test's own numbers do not hold products of this type.
      if (type == ElementType::int64 && op == ReduceOp::product) continue;
      for (const std::size_t elements : some_lengths(size())) {
        // Long vectors are cut in cells alike, whatever is in them.
        const bool common = type == ElementType::float32 || type == ElementType::bfloat16;
        if (elements > 510 && (op != ReduceOp::sum || !common)) continue;
        cases.push_back(
            {type, op, elements, reduced(type, op, setting().algorithm, size(), elements)});
      }
    }
  }
  with_group(size(), setting().options(), [&](Group& group) {
    for (const Case& one : cases) {
      for (int repetition = 0; repetition < 2; ++repetition) {
        Bytes values = sample_input(one.type, one.elements, group.rank());
        const Buffer all{values.data(), one.elements, one.type};
        group.all_reduce({&all, 1}, one.op, soon());
        ASSERT_TRUE(values == one.expected)
            << name_of(one.type) << " x " << one.elements << " on rank " << group.rank();
      }
    }
  });
}

TEST_P(EverySchedule, AllReduceTakesSeveralPartsAsOneVector) {
  const std::vector<std::size_t> lengths{3, 0, 70001, 1, 1, 5000, 0, 64};
  const std::size_t total = 75070;
  const ElementType type = ElementType::float32;
  const Bytes expected = reduced(type, ReduceOp::sum, setting().algorithm, size(), total);
  with_group(size(), setting().options(), [&](Group& group) {
    Bytes values = sample_input(type, total, group.rank());
    std::vector<Bytes> memory;
    std::vector<Buffer> parts;
    std::size_t at = 0;
    for (const std::size_t length : lengths) {
      memory.emplace_back(values.begin() + at, values.begin() + at + length * 4);
      at += length * 4;
    }
    for (Bytes& part : memory) parts.push_back({part.data(), part.size() / 4, type});
    group.all_reduce(parts, ReduceOp::sum, soon());
    Bytes joined;
    for (const Bytes& part : memory) joined.insert(joined.end(), part.begin(), part.end());
    ASSERT_TRUE(joined == expected);
  });
}

TEST_P(EveryEngine, ReduceScatterLeavesOnePieceOnEachRank) {
  for (const ElementType type : {ElementType::float32, ElementType::bfloat16, ElementType::int64}) {
    for (const std::size_t piece : {0, 1, 5, 100, 3001, 30011}) {
      const std::size_t elements = piece * static_cast<std::size_t>(size());
      const Bytes expected = serial_sum(
          handed_on(reduce_scatter_schedule_of(setting().algorithm, size(), on_two_hosts(size())),
                    all_ranks(size())),
          type, ReduceOp::sum, elements);
      with_group(size(), setting().options(), [&](Group& group) {
        const Bytes in = sample_input(type, elements, group.rank());
        const Bytes before = in;
        Bytes out(piece * size_of(type));
        group.reduce_scatter({in.data(), elements, type}, {out.data(), piece, type}, ReduceOp::sum,
                             soon());
        const auto begin =
            expected.begin() + static_cast<std::ptrdiff_t>(out.size()) * group.rank();
        ASSERT_TRUE(out == Bytes(begin, begin + out.size())) << piece << " on " << group.rank();
        ASSERT_TRUE(in == before) << "the input was written";
      });
    }
  }
}

TEST_P(EveryEngine, AllGatherPutsPiecesInOrderOfRank) {
  for (const std::size_t piece : {0, 1, 5, 100, 3001, 300007}) {
    const ElementType type = ElementType::int32;
    Bytes expected;
    for (int rank = 0; rank < size(); ++rank) {
      const Bytes in = sample_input(type, piece, rank);
      expected.insert(expected.end(), in.begin(), in.end());
    }
    with_group(size(), setting().options(), [&](Group& group) {
      const Bytes in = sample_input(type, piece, group.rank());
      Bytes out(expected.size());
      group.all_gather({in.data(), piece, type}, {out.data(), piece * size(), type}, soon());
      ASSERT_TRUE(out == expected) << piece << " on " << group.rank();
      // In place: the input is already where it belongs.
      Bytes same(expected.size());
      std::byte* own = same.data() + in.size() * static_cast<std::size_t>(group.rank());
      if (!in.empty()) std::memcpy(own, in.data(), in.size());
      group.all_gather({own, piece, type}, {same.data(), piece * size(), type}, soon());
      ASSERT_TRUE(same == expected) << piece << " in place";
    });
  }
}

TEST_P(EveryEngine, BroadcastFromEveryRoot) {
  for (const std::size_t elements : {0, 1, 100, 3001, 700001}) {
    with_group(size(), setting().options(), [&](Group& group) {
      for (int root = 0; root < size(); ++root) {
        Bytes values = sample_input(ElementType::int16, elements, group.rank());
        group.broadcast({values.data(), elements, ElementType::int16}, root, soon());
        ASSERT_TRUE(values == sample_input(ElementType::int16, elements, root));
      }
    });
  }
}

TEST_P(EveryEngine, ReduceToEveryRootLeavesInputsAsTheyAre) {
  for (const ElementType type : {ElementType::float32, ElementType::float16, ElementType::int32}) {
    for (const std::size_t elements : {0, 1, 100, 70001}) {
      const ReduceOp op = can_reduce(type, ReduceOp::mean) ? ReduceOp::mean : ReduceOp::bit_xor;
      const Algorithm algorithm = setting().algorithm == Algorithm::hierarchical
                                      ? Algorithm::hierarchical
                                      : Algorithm::two_shot;
      const Bytes expected =
          serial_sum(handed_on(reduce_scatter_schedule_of(algorithm, size(), on_two_hosts(size())),
                               all_ranks(size())),
                     type, op, elements);
      with_group(size(), setting().options(), [&](Group& group) {
        for (int root = 0; root < size(); ++root) {
          const Bytes in = sample_input(type, elements, group.rank());
          const Bytes before = in;
          Bytes out(in.size());
          group.reduce({in.data(), elements, type}, {out.data(), elements, type}, root, op, soon());
          ASSERT_TRUE(in == before) << "the input was written";
          // Elsewhere nothing is written.
          ASSERT_TRUE(out == (group.rank() == root ? expected : Bytes(out.size())))
              << name_of(type) << " x " << elements << " on " << group.rank() << ", root " << root;
        }
      });
    }
  }
}

// Lists of buffers whose sizes differ from pair to pair.
struct Lists {
  Lists(int size, const std::function<std::size_t(int peer)>& elements, bool filled, int rank) {
    for (int peer = 0; peer < size; ++peer) {
      const std::size_t count = elements(peer);
      memory.push_back(filled ? sample_input(ElementType::int16, count, rank * 100 + peer)
                              : Bytes(count * 2));
    }
    for (Bytes& bytes : memory) out.push_back({bytes.data(), bytes.size() / 2, ElementType::int16});
    in.assign(out.begin(), out.end());
  }
  std::vector<Bytes> memory;
  std::vector<Buffer> out;
  std::vector<ConstBuffer> in;
};

std::size_t pair_elements(int from, int to) {
  const std::uint64_t random = mixed(from, to);
  return random % 5 == 0 ? 0 : random % 5 == 1 ? 70000 + random % 100 : random % 1000;
}

TEST_P(EveryEngine, AllToAllTakesSizesThatDifferFromPairToPair) {
  with_group(size(), setting().options(), [&](Group& group) {
    const int rank = group.rank();
    for (int repetition = 0; repetition < 3; ++repetition) {
      const Lists given(
          size(), [&](int to) { return pair_elements(rank, to); }, true, rank);
      const Lists taken(
          size(), [&](int from) { return pair_elements(from, rank); }, false, rank);
      const std::uint64_t before = group.bytes_sent();
      group.all_to_all(given.in, taken.out, soon());
      std::uint64_t bytes = 0;
      for (int peer = 0; peer < size(); ++peer) {
        ASSERT_TRUE(taken.memory[peer] ==
                    sample_input(ElementType::int16, pair_elements(peer, rank), peer * 100 + rank))
            << "from " << peer;
        if (peer != rank) bytes += given.memory[peer].size();
      }
      if (setting().engine == Engine::memory || setting().engine == Engine::shm) {
        // The others count the table of sizes too.
        ASSERT_EQ(group.bytes_sent() - before, bytes);
      }
    }
  });
}

// They go with the table of sizes, which of 7 ranks lies in the same slot.
TEST_P(EveryEngine, AllToAllTakesAFewElements) {
  const auto few = [](int from, int to) { return static_cast<std::size_t>((3 * from + to) % 4); };
  with_group(size(), setting().options(), [&](Group& group) {
    const int rank = group.rank();
    for (int repetition = 0; repetition < 5; ++repetition) {
      const Lists given(
          size(), [&](int to) { return few(rank, to); }, true, rank);
      const Lists taken(
          size(), [&](int from) { return few(from, rank); }, false, rank);
      group.all_to_all(given.in, taken.out, soon());
      for (int peer = 0; peer < size(); ++peer) {
        ASSERT_TRUE(taken.memory[peer] ==
                    sample_input(ElementType::int16, few(peer, rank), peer * 100 + rank))
            << "from " << peer;
      }
    }
  });
}

TEST_P(EveryEngine, GatherScatterAndAllGatherTakeSizesThatDiffer) {
  const auto elements = [](int rank) { return pair_elements(rank, 77); };
  const ElementType type = ElementType::int16;
  with_group(size(), setting().options(), [&](Group& group) {
    const int rank = group.rank();
    const Bytes own = sample_input(type, elements(rank), rank);
    const ConstBuffer in{own.data(), elements(rank), type};
    const Lists all(size(), elements, false, rank);
    group.all_gather(in, all.out, soon());
    for (int peer = 0; peer < size(); ++peer) {
      ASSERT_TRUE(all.memory[peer] == sample_input(type, elements(peer), peer)) << peer;
    }
    for (int root = 0; root < size(); ++root) {
      const Lists gathered(size(), elements, false, rank);
      group.gather(in, gathered.out, root, soon());
      ASSERT_TRUE(rank != root || gathered.memory == all.memory);
      Bytes back(own.size());
      group.scatter(rank == root ? all.in : std::vector<ConstBuffer>{},
                    {back.data(), elements(rank), type}, root, soon());
      ASSERT_TRUE(back == own);
    }
  });
}

TEST_P(EveryEngine, ReduceScatterTakesPiecesThatDiffer) {
  const auto elements = [](int rank) { return pair_elements(rank, 5); };
  const ElementType type = ElementType::float32;
  with_group(size(), setting().options(), [&](Group& group) {
    const int rank = group.rank();
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::mean, ReduceOp::max}) {
      std::vector<Bytes> pieces;
      std::vector<ConstBuffer> in;
      for (int to = 0; to < size(); ++to) {
        pieces.push_back(sample_input(type, elements(to), rank * 10 + to));
        in.emplace_back(pieces.back().data(), elements(to), type);
      }
      Bytes out(elements(rank) * 4, std::byte{0x7f});
      group.reduce_scatter(in, {out.data(), elements(rank), type}, op, soon());
      Bytes expected(out.size());
      std::vector<Bytes> theirs;
      std::vector<const std::byte*> sources;
      for (int from = 0; from < size(); ++from) {
        theirs.push_back(sample_input(type, elements(rank), from * 10 + rank));
      }
      for (const Bytes& one : theirs) sources.push_back(one.data());
      std::byte* const to = expected.data();
      reduction_of(type, op)(sources, {&to, 1}, elements(rank));
      ASSERT_TRUE(out == expected) << name_of(op);
      for (int to_rank = 0; to_rank < size(); ++to_rank) {
        ASSERT_TRUE(pieces[to_rank] == sample_input(type, elements(to_rank), rank * 10 + to_rank));
      }
    }
    Bytes short_of_one((elements(rank) + 1) * 4);
    std::vector<ConstBuffer> in(static_cast<std::size_t>(size()),
                                ConstBuffer{short_of_one.data(), elements(rank), type});
    EXPECT_THROW(group.reduce_scatter(in, {short_of_one.data(), elements(rank) + 1, type},
                                      ReduceOp::sum, soon()),
                 InvalidInput);
  });
}

TEST_P(EveryEngine, SizesThatDoNotFitAreNamed) {
  if (size() < 3) return;
  with_group(size(), setting().options(), [&](Group& group) {
    std::vector<float> values(10);
    const std::size_t gives = group.rank() == 2 ? 5 : 6;
    const ConstBuffer in{reinterpret_cast<const std::byte*>(values.data()), gives,
                         ElementType::float32};
    std::vector<std::vector<float>> memory(static_cast<std::size_t>(size()), std::vector<float>(6));
    std::vector<Buffer> out;
    for (auto& one : memory) out.push_back(buffer(std::span(one)));
    try {
      group.gather(in, out, 0, soon());
      ASSERT_NE(group.rank(), 0);
    } catch (const InvalidInput& error) {
      EXPECT_STREQ(error.what(),
                   "gather #1 of group all: rank 2 gives 5 x float32, but rank 0 expects 6: name "
                   "the same size on both");
    }
  });
}

TEST(Groups, RefuseReductionsThatATypeDoesNotHave) {
  with_group(1, {}, [&](Group& group) {
    std::vector<float> floats(3);
    std::vector<std::int32_t> numbers(3);
    const Buffer reals = buffer(std::span(floats));
    const Buffer whole = buffer(std::span(numbers));
    const auto refusal = [&](const Buffer& values, ReduceOp op) -> std::string {
      try {
        group.all_reduce({&values, 1}, op, soon());
      } catch (const InvalidInput& error) {
        return error.what();
      }
      return "";
    };
    EXPECT_EQ(refusal(whole, ReduceOp::mean),
              "all_reduce: there is no mean of int32: take a float type, or sum");
    EXPECT_EQ(refusal(reals, ReduceOp::bit_or),
              "all_reduce: there is no bit_or of float32: take a whole-number type or bool");
    EXPECT_EQ(refusal(reals, ReduceOp::mean), "");
  });
}

TEST_P(EveryEngine, NoRankPassesABarrierBeforeAllHaveCome) {
  std::atomic<int> before{0};
  with_group(size(), setting().options(), [&](Group& group) {
    for (int round = 1; round <= 20; ++round) {
      before.fetch_add(1);
      group.barrier(soon());
      ASSERT_GE(before.load(), round * size());
    }
  });
}

// All kinds after each other without pause: a fast rank must not run over a slow one.
TEST_P(EveryEngine, AStormOfMixedCallsStaysRight) {
  with_group(size(), setting().options(), [&](Group& group) {
    const int n = group.size();
    for (std::uint64_t call = 0; call < 300; ++call) {
      const std::uint64_t random = mixed(call, 99);
      const std::size_t elements = std::size_t{1} << (random % 15);
      std::vector<std::int32_t> values(elements * static_cast<std::size_t>(n));
      std::vector<std::int32_t> own(elements, group.rank() + 1);
      const Buffer mine = buffer(std::span(own));
      switch ((random >> 8) % 4) {
        case 0:
          group.all_reduce({&mine, 1}, ReduceOp::sum, soon());
          ASSERT_THAT(own, testing::Each(n * (n + 1) / 2)) << call;
          break;
        case 1: {
          const int root = static_cast<int>((random >> 16) % n);
          group.broadcast(mine, root, soon());
          ASSERT_THAT(own, testing::Each(root + 1)) << call;
          break;
        }
        case 2:
          group.all_gather(mine, buffer(std::span(values)), soon());
          for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_EQ(values[i], static_cast<std::int32_t>(i / elements) + 1) << call;
          }
          break;
        default:
          std::fill(values.begin(), values.end(), group.rank() + 1);
          group.reduce_scatter(buffer(std::span<const std::int32_t>(values)), mine, ReduceOp::max,
                               soon());
          ASSERT_THAT(own, testing::Each(n)) << call;
      }
    }
  });
}

TEST_P(EverySchedule, CountsTheBytesOfItsSchedule) {
  const std::size_t elements = 100003;
  std::atomic<std::uint64_t> sent{0};
  with_group(size(), setting().options(), [&](Group& group) {
    std::vector<float> values(elements, 1.0F);
    const Buffer all = buffer(std::span(values));
    const std::uint64_t before = group.bytes_sent();
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    sent += group.bytes_sent() - before;
  });
  const Schedule schedule = schedule_of(setting().algorithm, size(), on_two_hosts(size()));
  const std::int64_t moved = count(schedule, elements).total;
  EXPECT_EQ(sent.load(), static_cast<std::uint64_t>(moved) * 4);
}

TEST(TryGroup, FindsAGroupRightAndNoticesAnotherOrderOfAdditions) {
  with_group(3, {}, [&](Group& group) {
    const TrialReport right = try_group(group, Algorithm::two_shot, {}, 90);
    EXPECT_THAT(right.faults, testing::IsEmpty());
    EXPECT_GT(right.results, 200);
    const TrialReport wrong = try_group(group, Algorithm::ring, {}, 90);
    EXPECT_THAT(wrong.faults, testing::Contains(testing::StartsWith(
                                  "all_reduce(sum, 611 x float32): a wrong result on rank")));
  });
}

std::string name_of_case(const testing::TestParamInfo<EverySchedule::ParamType>& info) {
  return std::string(name_of(std::get<0>(info.param))) + "_" +
         std::string(name_of(std::get<1>(info.param))) + "_" +
         std::to_string(std::get<2>(info.param));
}

const auto kEngines = testing::Values(Engine::memory, Engine::shm, Engine::tcp);
const auto kMain = testing::Values(Algorithm::two_shot, Algorithm::ring);
const auto kSizes = testing::Values(1, 2, 3, 4, 7);

INSTANTIATE_TEST_SUITE_P(Worlds, EveryEngine, testing::Combine(kEngines, kMain, kSizes),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Worlds, EverySchedule, testing::Combine(kEngines, kMain, kSizes),
                         name_of_case);
// On two hosts.
INSTANTIATE_TEST_SUITE_P(Hosts, EveryEngine,
                         testing::Combine(testing::Values(Engine::hierarchical),
                                          testing::Values(Algorithm::two_shot,
                                                          Algorithm::hierarchical),
                                          testing::Values(2, 3, 7)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(
    Hosts, EverySchedule,
    testing::Combine(testing::Values(Engine::memory, Engine::tcp, Engine::hierarchical),
                     testing::Values(Algorithm::hierarchical), testing::Values(2, 3, 4, 7)),
    name_of_case);
INSTANTIATE_TEST_SUITE_P(Messages, EveryEngine,
                         testing::Combine(testing::Values(Engine::mpi),
                                          testing::Values(Algorithm::two_shot,
                                                          Algorithm::hierarchical),
                                          testing::Values(1, 2, 3, 7)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Messages, EverySchedule,
                         testing::Combine(testing::Values(Engine::mpi),
                                          testing::ValuesIn(kAlgorithms), testing::Values(2, 3, 5)),
                         name_of_case);
// Powers of two and others, even and odd.
INSTANTIATE_TEST_SUITE_P(
    Others, EverySchedule,
    testing::Combine(testing::Values(Engine::memory, Engine::tcp),
                     testing::Values(Algorithm::recursive_doubling, Algorithm::rabenseifner,
                                     Algorithm::double_tree, Algorithm::hop_by_hop),
                     testing::Values(4, 5, 6)),
    name_of_case);

}  // namespace
}  // namespace shoal::test

// What a group says it has sent is what its schedule says, also for lengths that do not divide.
//
// SHOAL_SHOW_COUNTS=1 prints a line for each case: engine, algorithm, ranks, elements, and the
// bytes that each rank has sent in an all_reduce of float32.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <tuple>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/frame_group.h"
#include "shoal/comm/region.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

class Counters : public testing::TestWithParam<std::tuple<Engine, Algorithm, int>> {
 protected:
  Engine engine() const { return std::get<0>(GetParam()); }
  Algorithm algorithm() const { return std::get<1>(GetParam()); }
  int size() const { return std::get<2>(GetParam()); }

  // Bytes by rank.
  std::vector<std::uint64_t> sent(std::size_t elements) const {
    const CommOptions options = options_of(engine(), algorithm(), size());
    std::vector<std::uint64_t> bytes(static_cast<std::size_t>(size()));
    with_group(size(), options, [&](Group& group) {
      std::vector<float> values(elements, 1.0F);
      const Buffer all = buffer(std::span(values));
      const std::uint64_t before = group.bytes_sent();
      group.all_reduce({&all, 1}, ReduceOp::sum, soon());
      bytes[group.rank()] = group.bytes_sent() - before;
    });
    return bytes;
  }

  bool has_wires() const { return engine() != Engine::memory && engine() != Engine::shm; }

  // two_shot sends what is small once to everybody.
  bool goes_in_one_shot(std::size_t elements) const {
    if (algorithm() != Algorithm::two_shot) return false;
    const std::size_t bytes = elements * 4;
    return has_wires() ? bytes * static_cast<std::size_t>(size() - 1) <= FrameGroup::kSmallBytes
                       : bytes <= RegionShape::kSmallBytes;
  }

  // In shared memory the parts of two_shot begin at cache lines of every chunk: where these do not
  // divide, the ranks' shares of the same total differ by as much.
  bool divides_in_lines(std::size_t elements) const {
    const auto n = static_cast<std::size_t>(size());
    return elements % (n * 16384) == 0 && (has_wires() || (n & (n - 1)) == 0);
  }
};

TEST_P(Counters, CountWhatTheScheduleMoves) {
  const bool show = std::getenv("SHOAL_SHOW_COUNTS") != nullptr;
  const auto n = static_cast<std::size_t>(size());
  for (const std::size_t elements : {std::size_t{0}, std::size_t{1}, n - 1, std::size_t{13},
                                     n * 16384, std::size_t{100003}, std::size_t{400009}}) {
    const std::vector<std::uint64_t> bytes = sent(elements);
    if (show) {
      fmt::print("counted {} {} {} ranks {} x float32: {}\n", name_of(engine()),
                 name_of(algorithm()), size(), elements, fmt::join(bytes, " "));
    }
    const ScheduleCounts expected = count(schedule_of(algorithm(), size(), on_two_hosts(size())),
                                          static_cast<std::int64_t>(elements));
    std::uint64_t total = 0;
    for (std::size_t rank = 0; rank < n; ++rank) {
      total += bytes[rank];
      if (goes_in_one_shot(elements)) {
        EXPECT_EQ(bytes[rank], elements * 4 * (n - 1)) << elements;
      } else if (algorithm() != Algorithm::two_shot || divides_in_lines(elements)) {
        EXPECT_EQ(bytes[rank], static_cast<std::uint64_t>(expected.sent[rank]) * 4)
            << elements << " on rank " << rank;
      }
    }
    if (!goes_in_one_shot(elements)) {
      EXPECT_EQ(total, static_cast<std::uint64_t>(expected.total) * 4) << elements;
    }
  }
}

std::string name_of_counters_case(const testing::TestParamInfo<Counters::ParamType>& info) {
  return fmt::format("{}_{}_{}", name_of(std::get<0>(info.param)), name_of(std::get<1>(info.param)),
                     std::get<2>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Worlds, Counters,
                         testing::Combine(testing::Values(Engine::memory, Engine::shm, Engine::tcp),
                                          testing::ValuesIn(kAlgorithms),
                                          testing::Values(2, 3, 4, 5, 8)),
                         name_of_counters_case);
INSTANTIATE_TEST_SUITE_P(Hosts, Counters,
                         testing::Combine(testing::Values(Engine::hierarchical),
                                          testing::Values(Algorithm::two_shot, Algorithm::ring,
                                                          Algorithm::hierarchical),
                                          testing::Values(2, 3, 4, 5, 8)),
                         name_of_counters_case);

INSTANTIATE_TEST_SUITE_P(Messages, Counters,
                         testing::Combine(testing::Values(Engine::mpi),
                                          testing::Values(Algorithm::two_shot, Algorithm::ring,
                                                          Algorithm::hierarchical),
                                          testing::Values(2, 3, 5)),
                         name_of_counters_case);

}  // namespace
}  // namespace shoal::test

#include "shoal/core/philox.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace shoal {
namespace {

std::vector<float> uniform(const RandomStream& stream, std::size_t n, std::uint64_t first = 0) {
  std::vector<float> out(n, -1.0f);
  stream.uniform(out, first);
  return out;
}

std::vector<float> normal(const RandomStream& stream, std::size_t n, std::uint64_t first = 0) {
  std::vector<float> out(n, -100.0f);
  stream.normal(out, first);
  return out;
}

// Vectors of Random123, tests/kat_vectors.
TEST(Philox, KnownAnswers) {
  using Four = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, BulkAndSingleElementsAgree) {
  const RandomStream stream(7, "dropout", 3, 5);
  std::vector<std::uint32_t> bits(1001);
  // Around the places where the counter's words are full.
  for (const std::uint64_t first : {0ull, 1ull, 2ull, 3ull, 4ull, 1000ull, (1ull << 33) - 500,
                                    (1ull << 34) - 500, (1ull << 34) - 8, (3ull << 35) + 2}) {
    stream.bits(bits, first);
    const std::vector<float> numbers = uniform(stream, bits.size(), first);
    for (std::size_t i = 0; i < bits.size(); ++i) {
      ASSERT_EQ(bits[i], stream.bits(first + i)) << first << " + " << i;
      ASSERT_EQ(numbers[i], static_cast<float>(bits[i] >> 8) / 16777216.0f) << first << " + " << i;
    }
  }
}

TEST(RandomStream, AnElementDoesNotDependOnHowTheRangeWasCut) {
  const RandomStream stream(1, "weights");
  const std::vector<float> uniforms = uniform(stream, 3000);
  const std::vector<float> normals = normal(stream, 3000);
  for (const std::size_t length : {0, 1, 2, 3, 5, 8, 31, 64, 127, 1023, 1024, 1025, 2048}) {
    for (const std::size_t first : {0, 1, 2, 3, 4, 7, 100, 901}) {
      const auto begin = static_cast<std::ptrdiff_t>(first);
      const auto end = static_cast<std::ptrdiff_t>(first + length);
      EXPECT_EQ(uniform(stream, length, first),
                std::vector(uniforms.begin() + begin, uniforms.begin() + end));
      EXPECT_EQ(normal(stream, length, first),
                std::vector(normals.begin() + begin, normals.begin() + end));
    }
  }
}

TEST(RandomStream, EveryCoordinateMakesAnotherStream) {
  std::set<std::vector<float>> streams;
  for (const std::uint64_t seed : {0ull, 1ull, ~0ull}) {
    for (const char* name : {"", "a", "b"}) {
      for (const std::uint64_t a : {0ull, 1ull, 1ull << 32, ~0ull}) {
        for (const std::uint32_t b : {0u, 1u, ~0u}) {
          streams.insert(uniform(RandomStream(seed, name, a, b), 8));
        }
      }
    }
  }
  EXPECT_EQ(streams.size(), 3u * 3u * 4u * 3u);
}

TEST(RandomStream, AtMovesToOtherCoordinates) {
  const RandomStream stream(4, "mask");
  EXPECT_EQ(uniform(stream.at(9, 2), 16), uniform(RandomStream(4, "mask", 9, 2), 16));
  EXPECT_EQ(uniform(stream.at(9, 2).at(0, 0), 16), uniform(stream, 16));
}

// So that no later version draws other weights for the same seed.
TEST(RandomStream, FirstElementsStayWhatTheyAre) {
  const RandomStream stream(1, "layer1.weight", 2, 3);
  EXPECT_EQ(stream.bits(0), 3116731879u);
  EXPECT_EQ(stream.bits(5), 2546555872u);
}

// 10^6 numbers: the bounds are six standard deviations of the estimates.
TEST(RandomStream, UniformHasTheRightMoments) {
  const std::vector<float> numbers = uniform(RandomStream(3, "u"), 1000000);
  double sum = 0;
  double squares = 0;
  double neighbours = 0;
  std::array<int, 16> histogram{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_GE(numbers[i], 0.0f);
    ASSERT_LT(numbers[i], 1.0f);
    const double centred = numbers[i] - 0.5;
    sum += centred;
    squares += centred * centred;
    if (i > 0) neighbours += centred * (numbers[i - 1] - 0.5);
    ++histogram[static_cast<std::size_t>(numbers[i] * 16)];
  }
  EXPECT_NEAR(sum / 1e6, 0.0, 6 * 0.289 / 1000);
  EXPECT_NEAR(squares / 1e6, 1.0 / 12, 6 * 0.0745 / 1000);
  EXPECT_NEAR(neighbours / 1e6, 0.0, 6 * 0.0834 / 1000);
  for (const int count : histogram) EXPECT_NEAR(count, 62500, 6 * 242);
}

TEST(RandomStream, NormalHasTheRightMomentsAndTails) {
  const std::vector<float> numbers = normal(RandomStream(3, "n"), 1000000);
  std::array<double, 5> moments{};
  double pairs = 0;
  int beyond_two = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double x = numbers[i];
    ASSERT_TRUE(std::abs(x) < 5.8) << x;
    for (int k = 1; k <= 4; ++k) moments[static_cast<std::size_t>(k)] += std::pow(x, k) / 1e6;
    if (i % 2 == 1) pairs += x * numbers[i - 1] / 5e5;
    beyond_two += std::abs(x) > 2;
  }
  EXPECT_NEAR(moments[1], 0, 0.006);
  EXPECT_NEAR(moments[2], 1, 6 * 0.00142);
  EXPECT_NEAR(moments[3], 0, 6 * 0.0039);
  EXPECT_NEAR(moments[4], 3, 6 * 0.0098);
  EXPECT_NEAR(pairs, 0, 6 * 0.00142);
  EXPECT_NEAR(beyond_two, 45500, 6 * 208);
}

// Box and Muller in double precision from the same bits.
TEST(RandomStream, NormalFollowsItsFormula) {
  const RandomStream stream(5, "n");
  const std::vector<float> numbers = normal(stream, 4000);
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    const double u = ((stream.bits(i) >> 8) + 1) * 0x1p-24;
    const double angle = 2 * M_PI * (stream.bits(i + 1) >> 8) * 0x1p-24;
    const double radius = std::sqrt(-2 * std::log(u));
    EXPECT_NEAR(numbers[i], radius * std::cos(angle), 5e-6) << i;
    EXPECT_NEAR(numbers[i + 1], radius * std::sin(angle), 5e-6) << i;
  }
}

// Highway has one version for each kind of CPU: all that this CPU can run give the same bits.
TEST(RandomStream, EveryInstructionSetGivesTheSameUniforms) {
  const RandomStream stream(2, "targets");
  const std::vector<float> uniforms = uniform(stream, 1003, 5);
  const std::vector<float> normals = normal(stream, 1003, 5);
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::GetChosenTarget().Update(target);
    EXPECT_EQ(uniform(stream, 1003, 5), uniforms) << hwy::TargetName(target);
    const std::vector<float> same = normal(stream, 1003, 5);
    for (std::size_t i = 0; i < same.size(); ++i) {
      ASSERT_NEAR(same[i], normals[i], 2e-6) << hwy::TargetName(target) << " " << i;
    }
  }
  hwy::GetChosenTarget().DeInit();  // back to the best one
}

TEST(Permutation, HoldsEveryNumberOnceForEverySize) {
  for (const std::uint32_t n : {0u, 1u, 2u, 3u, 10u, 1000u, 60000u}) {
    std::vector<std::uint32_t> order = permutation(n, 1, "sampler", 0);
    ASSERT_EQ(order.size(), n);
    std::ranges::sort(order);
    for (std::uint32_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST(Permutation, DependsOnSeedNameAndEpochOnly) {
  const auto order = permutation(100, 1, "sampler", 0);
  EXPECT_EQ(order, permutation(100, 1, "sampler", 0));
  EXPECT_NE(order, permutation(100, 2, "sampler", 0));
  EXPECT_NE(order, permutation(100, 1, "other", 0));
  EXPECT_NE(order, permutation(100, 1, "sampler", 1));
}

TEST(Permutation, EveryOrderOfFourIsEquallyLikely) {
  std::map<std::vector<std::uint32_t>, int> seen;
  constexpr int kDraws = 24000;
  for (int i = 0; i < kDraws; ++i) ++seen[permutation(4, 1, "p", static_cast<std::uint64_t>(i))];
  ASSERT_EQ(seen.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000;
  EXPECT_LT(chi_squared, 60.0);  // 23 degrees of freedom: 60 has probability 4e-5
}

}  // namespace
}  // namespace shoal

#include "shoal/comm/reduce_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "shoal/comm/half_types.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

TEST(HalfTypes, EveryBFloat16SurvivesTheWayThereAndBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const BFloat16 half{static_cast<std::uint16_t>(bits)};
    const float wide = widened(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(widened(rounded_to_bfloat16(wide))));
    } else {
      ASSERT_EQ(rounded_to_bfloat16(wide).bits, bits);
    }
  }
}

TEST(HalfTypes, EveryFloat16IsTheNumberItSaysAndSurvives) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const Float16 half{static_cast<std::uint16_t>(bits)};
    const float wide = widened(half);
    const std::uint32_t exponent = (bits >> 10) & 31;
    const std::uint32_t fraction = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(wide), fraction != 0);
      EXPECT_EQ(std::isinf(wide), fraction == 0);
    } else {
      const double number = exponent == 0
                                ? std::ldexp(fraction, -24)
                                : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
      ASSERT_EQ(wide, sign * number) << bits;
    }
    if (!std::isnan(wide)) {
      ASSERT_EQ(rounded_to_float16(wide).bits, bits);
    }
  }
  EXPECT_TRUE(std::isnan(widened(rounded_to_float16(std::nanf("")))));
}

// Halfway cases go to the even neighbour; a little more goes up, a little less down.
TEST(HalfTypes, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits + 1 < 0x7c00; ++bits) {
    const float low = widened(Float16{static_cast<std::uint16_t>(bits)});
    const float high = widened(Float16{static_cast<std::uint16_t>(bits + 1)});
    const float middle = (low + high) / 2;
    ASSERT_EQ(rounded_to_float16(middle).bits, bits + (bits & 1)) << bits;
    ASSERT_EQ(rounded_to_float16(std::nextafter(middle, 1e9F)).bits, bits + 1);
    ASSERT_EQ(rounded_to_float16(std::nextafter(middle, 0.0F)).bits, bits);
  }
  EXPECT_EQ(rounded_to_float16(65520.0F).bits, 0x7c00);  // the first that is too large
  EXPECT_EQ(rounded_to_float16(65519.0F).bits, 0x7bff);
  EXPECT_EQ(rounded_to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  const float tie = std::bit_cast<float>(0x3f808000U);
  EXPECT_EQ(rounded_to_bfloat16(tie).bits, 0x3f80);
  EXPECT_EQ(rounded_to_bfloat16(std::bit_cast<float>(0x3f818000U)).bits, 0x3f82);
}

template <typename T>
std::vector<T> reduced(ElementType type, ReduceOp op, const std::vector<std::vector<T>>& inputs) {
  std::vector<const std::byte*> sources;
  for (const auto& input : inputs)
    sources.push_back(reinterpret_cast<const std::byte*>(input.data()));
  std::vector<T> result(inputs[0].size());
  std::byte* out = reinterpret_cast<std::byte*>(result.data());
  reduction_of(type, op)(sources, {&out, 1}, result.size());
  return result;
}

TEST(ReduceKernels, HalfTypesAreRoundedOnceAfterTheWholeSum) {
  // 1 + 2^-9 + 2^-9: each addend alone would be lost if every step were rounded to bfloat16.
  const std::uint16_t one = rounded_to_bfloat16(1.0F).bits;
  const std::uint16_t small = rounded_to_bfloat16(0x1p-9F).bits;
  const auto sum = reduced<std::uint16_t>(ElementType::bfloat16, ReduceOp::sum,
                                          {{one}, {small}, {small}, {small}, {small}});
  EXPECT_EQ(widened(BFloat16{sum[0]}), 1.0078125F);
}

TEST(ReduceKernels, MinAndMaxHandOnANaN) {
  const float nan = std::nanf("");
  for (const ReduceOp op : {ReduceOp::min, ReduceOp::max}) {
    for (std::size_t at = 0; at < 3; ++at) {
      std::vector<std::vector<float>> inputs{{1, 1}, {2, 2}, {3, 3}};
      inputs[at][0] = nan;
      const auto result = reduced<float>(ElementType::float32, op, inputs);
      EXPECT_TRUE(std::isnan(result[0]));
      EXPECT_EQ(result[1], op == ReduceOp::min ? 1 : 3);
    }
    std::vector<std::vector<float>> two{{nan, 1}, {2, nan}};
    EXPECT_TRUE(std::isnan(reduced<float>(ElementType::float32, op, two)[0]));
    EXPECT_TRUE(std::isnan(reduced<float>(ElementType::float32, op, two)[1]));
  }
}

TEST(ReduceKernels, IntegersWrapAndTruthIsOr) {
  EXPECT_EQ(reduced<std::int8_t>(ElementType::int8, ReduceOp::sum, {{127}, {1}, {1}})[0], -127);
  EXPECT_EQ(reduced<std::uint8_t>(ElementType::uint8, ReduceOp::sum, {{255}, {2}})[0], 1);
  EXPECT_EQ(reduced<std::int64_t>(ElementType::int64, ReduceOp::sum,
                                  {{std::numeric_limits<std::int64_t>::max()}, {1}})[0],
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(reduced<std::uint8_t>(ElementType::boolean, ReduceOp::sum, {{1}, {1}, {0}})[0], 1);
  EXPECT_EQ(reduced<std::uint8_t>(ElementType::boolean, ReduceOp::min, {{1}, {0}})[0], 0);
}

// An output may be a source; all outputs get the same; lengths around the vectors' widths.
TEST(ReduceKernels, WritesAllOutputsAlsoOverASource) {
  for (const std::size_t ranks : {2, 3, 5}) {
    for (std::size_t n = 0; n < 80; ++n) {
      std::vector<std::vector<float>> memory(ranks, std::vector<float>(n));
      std::vector<float> expected(n);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t rank = 0; rank < ranks; ++rank) {
          memory[rank][i] = static_cast<float>(mixed(i, rank) % 1000) / 3;
          expected[i] = rank == 0 ? memory[rank][i] : expected[i] + memory[rank][i];
        }
      }
      std::vector<const std::byte*> sources;
      std::vector<std::byte*> outputs;
      for (auto& part : memory) {
        sources.push_back(reinterpret_cast<std::byte*>(part.data()));
        outputs.push_back(reinterpret_cast<std::byte*>(part.data()));
      }
      reduction_of(ElementType::float32, ReduceOp::sum)(sources, outputs, n);
      for (const auto& part : memory) ASSERT_TRUE(part == expected) << ranks << " x " << n;
    }
  }
}

TEST(ReduceKernels, HopsGiveTheSameAsTheWhole) {
  for (const ElementType type : {ElementType::bfloat16, ElementType::float16}) {
    const std::size_t n = 1000;
    std::vector<std::vector<std::uint16_t>> inputs(3, std::vector<std::uint16_t>(n));
    for (std::size_t rank = 0; rank < 3; ++rank) {
      for (std::size_t i = 0; i < n; ++i) {
        const float value = static_cast<float>(mixed(i, rank) % 4000) / 100 - 20;
        inputs[rank][i] = type == ElementType::bfloat16 ? rounded_to_bfloat16(value).bits
                                                        : rounded_to_float16(value).bits;
      }
    }
    const WideForm form = wide_form_of(type);
    const Reduction add = reduction_of(wide_type(type), ReduceOp::sum);
    std::vector<float> partial(n), next(n);
    auto* const wide = reinterpret_cast<std::byte*>(partial.data());
    auto* const came = reinterpret_cast<std::byte*>(next.data());
    form.widen(reinterpret_cast<std::byte*>(inputs[0].data()), wide, n);
    for (std::size_t rank = 1; rank < 3; ++rank) {
      form.widen(reinterpret_cast<std::byte*>(inputs[rank].data()), came, n);
      add(std::vector<const std::byte*>{wide, came}, std::vector<std::byte*>{wide}, n);
    }
    std::vector<std::uint16_t> result(n);
    form.narrow(wide, reinterpret_cast<std::byte*>(result.data()), n);
    EXPECT_TRUE(result == reduced<std::uint16_t>(type, ReduceOp::sum, inputs));
  }
}

}  // namespace
}  // namespace shoal::test

#include "shoal/comm/parts.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "shoal/core/error.h"

namespace shoal {
namespace {

TEST(Parts, GatherAndScatterCrossTheBordersOfParts) {
  std::vector<std::int32_t> a{0, 1, 2};
  std::vector<std::int32_t> none;
  std::vector<std::int32_t> b{3};
  std::vector<std::int32_t> c{4, 5, 6, 7};
  const std::vector<Buffer> list{buffer(std::span(a)), buffer(std::span(none)),
                                 buffer(std::span(b)), buffer(std::span(c))};
  const Parts parts(list);
  ASSERT_EQ(parts.elements(), 8U);
  for (std::size_t begin = 0; begin <= 8; ++begin) {
    for (std::size_t count = 0; begin + count <= 8; ++count) {
      std::vector<std::int32_t> got(count);
      parts.gather(begin, count, reinterpret_cast<std::byte*>(got.data()));
      std::vector<std::int32_t> expected(count);
      std::iota(expected.begin(), expected.end(), static_cast<std::int32_t>(begin));
      ASSERT_EQ(got, expected) << begin << " + " << count;
    }
  }
  const std::vector<std::int32_t> values{20, 30, 40};
  parts.scatter(reinterpret_cast<const std::byte*>(values.data()), 2, 3);
  EXPECT_EQ(a, (std::vector<std::int32_t>{0, 1, 20}));
  EXPECT_EQ(b, (std::vector<std::int32_t>{30}));
  EXPECT_EQ(c, (std::vector<std::int32_t>{40, 5, 6, 7}));
}

TEST(Parts, RefusesMixedTypesAndMissingMemory) {
  std::vector<float> a(2);
  std::vector<double> b(2);
  const std::vector<Buffer> differ{buffer(std::span(a)), buffer(std::span(b))};
  EXPECT_THROW(Parts{differ}, InvalidInput);
  const std::vector<Buffer> nowhere{{nullptr, 3, ElementType::float32}};
  EXPECT_THROW(Parts{nowhere}, InvalidInput);
  EXPECT_EQ(Parts(std::span<const Buffer>{}).elements(), 0U);
}

}  // namespace
}  // namespace shoal

#include "shoal/core/large_copy.h"

#include <gtest/gtest.h>

#include <vector>

namespace shoal::test {
namespace {

// Whatever begins and ends where, every byte of the stretch is written and none beside it.
TEST(LargeCopy, WritesTheStretchAndNothingElse) {
  for (const std::size_t bytes : {0U, 1U, 63U, 64U, 65U, 200U, 4096U, 100003U}) {
    for (std::size_t to = 0; to < 80; to += 7) {
      for (std::size_t from = 0; from < 80; from += 13) {
        std::vector<std::byte> in(bytes + 160), out(bytes + 160, std::byte{0x5a});
        for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::byte(i * 31 + i / 256);
        copy_past_caches(out.data() + to, in.data() + from, bytes);
        for (std::size_t i = 0; i < out.size(); ++i) {
          const bool inside = i >= to && i < to + bytes;
          ASSERT_EQ(out[i], inside ? in[from + i - to] : std::byte{0x5a})
              << bytes << " bytes to " << to << " from " << from << ", at " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace shoal::test

#include "shoal/core/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

using std::string_literals::operator""s;

TEST(Utf8, AcceptsTextOfEveryLength) {
  for (const std::string& text :
       {""s, "plain"s, "\0"s, "\xC2\x80"s, "\xDF\xBF"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s,
        "\xEE\x80\x80"s, "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s}) {
    EXPECT_EQ(first_invalid_utf8(text), std::nullopt) << testing::PrintToString(text);
  }
}

TEST(Utf8, FindsTheFirstBadByteAmongMalformedNeighbours) {
  for (const std::string& bad :
       {"\x80"s, "\xBF"s, "\xC0\xAF"s, "\xC1\xBF"s, "\xC2"s, "\xC2 "s, "\xE0\x9F\xBF"s, "\xE0\xA0"s,
        "\xED\xA0\x80"s, "\xEF\xBF"s, "\xF0\x8F\xBF\xBF"s, "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s,
        "\xF0\x90\x80"s, "\xFE"s, "\xFF"s}) {
    EXPECT_EQ(first_invalid_utf8("ab\xC3\xA9" + bad), 4u) << testing::PrintToString(bad);
    EXPECT_EQ(first_invalid_utf8(bad + "tail"), 0u) << testing::PrintToString(bad);
  }
}

}  // namespace
}  // namespace shoal

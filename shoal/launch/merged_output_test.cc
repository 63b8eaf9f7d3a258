#include "shoal/launch/merged_output.h"

#include <gtest/gtest.h>

#include <sstream>

namespace shoal {
namespace {

using std::chrono::milliseconds;

struct Merged {
  explicit Merged(MergedOutputOptions options = {}) : output(out, err, options) {}
  void print(int rank, std::string_view text) { output.add(rank, Stream::out, text, now); }
  void complain(int rank, std::string_view text) { output.add(rank, Stream::err, text, now); }

  std::ostringstream out;
  std::ostringstream err;
  MergedOutput::Clock::time_point now{};
  MergedOutput output;
};

TEST(MergedOutput, LinesComeWholeWithTheirRank) {
  Merged merged;
  merged.print(1, "half");
  merged.print(0, "first\nsecond\n");
  merged.print(1, " done\n");
  merged.complain(2, "warning\n");
  EXPECT_EQ(merged.out.str(), "[rank 0] first\n[rank 0] second\n[rank 1] half done\n");
  EXPECT_EQ(merged.err.str(), "[rank 2] warning\n");
}

TEST(MergedOutput, ALastLineWithoutEndIsShown) {
  Merged merged;
  merged.print(0, "no newline");
  EXPECT_EQ(merged.out.str(), "");
  merged.output.end(0, Stream::out, merged.now);
  EXPECT_EQ(merged.out.str(), "[rank 0] no newline\n");
}

TEST(MergedOutput, ALineWithoutEndIsCut) {
  Merged merged;
  merged.print(0, std::string(200000, 'x'));
  merged.output.end(0, Stream::out, merged.now);
  std::size_t lines = 0;
  std::size_t bytes = 0;
  for (const char c : merged.out.str()) {
    lines += c == '\n' ? 1 : 0;
    bytes += c == 'x' ? 1 : 0;
  }
  EXPECT_EQ(bytes, 200000U);
  EXPECT_EQ(lines, 4U);
}

TEST(MergedOutput, CarriageReturnsWorkAsOnATerminal) {
  Merged merged;
  merged.print(0, "10%\r20%\r");
  merged.print(0, "30%\r\nnext\r\n");
  EXPECT_EQ(merged.out.str(), "[rank 0] 30%\n[rank 0] next\n");
}

TEST(MergedOutput, TheVerbatimRankKeepsItsProgressBar) {
  Merged merged({.verbatim_rank = 0});
  merged.print(0, "\r10%");
  merged.print(0, "\r20%");
  EXPECT_EQ(merged.out.str(), "\r10%\r20%");
  merged.print(1, "hello\n");
  EXPECT_EQ(merged.out.str(), "\r10%\r20%\n[rank 1] hello\n");
  merged.complain(0, "a note\n");
  EXPECT_EQ(merged.err.str(), "a note\n");
}

TEST(MergedOutput, ErrorsOfSeveralRanksAreOneLine) {
  Merged merged;
  merged.complain(2, "error: no such file\n");
  merged.complain(0, "error: no such file\n");
  merged.complain(1, "error: another\n");
  for (const int rank : {0, 1, 2}) merged.output.ended(rank, Because::own);
  EXPECT_EQ(merged.err.str(), "");
  ASSERT_TRUE(merged.output.next_due().has_value());
  EXPECT_EQ(*merged.output.next_due(), merged.now + milliseconds(300));
  merged.output.show_due(merged.now + milliseconds(299));
  EXPECT_EQ(merged.err.str(), "");
  merged.output.show_due(merged.now + milliseconds(300));
  EXPECT_EQ(merged.err.str(), "[ranks 0, 2] error: no such file\n[rank 1] error: another\n");
  EXPECT_FALSE(merged.output.next_due().has_value());
  EXPECT_EQ(merged.output.explanation(2), "no such file");
  EXPECT_FALSE(merged.output.explanation(3).has_value());
}

TEST(MergedOutput, OneOfTheLauncherInARanksNameSharesItsLine) {
  Merged merged;
  merged.output.add_error(3, "no such file", merged.now);
  merged.complain(0, "error: no such file\n");
  merged.output.show_all();
  EXPECT_EQ(merged.err.str(), "[ranks 0, 3] error: no such file\n");
}

TEST(MergedOutput, LaunchersLinesKeepTheirRanksAndShareALine) {
  Merged merged({.prefix = false});
  merged.complain(0, "[rank 1] error: no such file\n");
  merged.complain(1, "[ranks 1, 12] error: no such file\n");
  merged.complain(1, "[rank x] error: of a strange program\n");
  merged.output.show_all();
  EXPECT_EQ(merged.err.str(),
            "[rank x] error: of a strange program\n[ranks 1, 12] error: no such file\n");
}

TEST(MergedOutput, ALateEqualErrorAddsNothingARepeatedOneDoes) {
  Merged merged;
  merged.complain(0, "error: x\n");
  merged.output.show_all();
  merged.complain(1, "error: x\n");
  merged.output.show_all();
  EXPECT_EQ(merged.err.str(), "[rank 0] error: x\n");
  merged.complain(0, "error: x\n");
  merged.output.show_all();
  EXPECT_EQ(merged.err.str(), "[rank 0] error: x\n[rank 0] error: x\n");
}

TEST(MergedOutput, WithoutPrefixLinesStayAsTheyAre) {
  Merged merged({.prefix = false});
  merged.print(3, "[rank 5] done\n");
  merged.complain(3, "error: x\n");
  merged.output.show_all();
  EXPECT_EQ(merged.out.str() + merged.err.str(), "[rank 5] done\nerror: x\n");
}

TEST(MergedOutput, ManyDifferentErrorsAreAllShown) {
  Merged merged;
  for (int i = 0; i < 3000; ++i) {
    merged.complain(0, "error: " + std::to_string(i) + "\n");
    if (i % 7 == 0) merged.output.show_all();
  }
  merged.output.show_all();
  std::size_t lines = 0;
  for (const char c : merged.err.str()) lines += c == '\n' ? 1 : 0;
  EXPECT_EQ(lines, 3000U);
}

}  // namespace
}  // namespace shoal

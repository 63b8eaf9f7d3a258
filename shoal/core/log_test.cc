#include "shoal/core/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <sstream>
#include <thread>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::Pair;

// A pipe whose other end the test reads.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  int writer() const { return ends_[1]; }
  int reader() const { return ends_[0]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  std::string read_once() const {
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(ends_[0], buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  std::string read_to_the_end() {
    std::string all;
    for (std::string part = read_once(); !part.empty(); part = read_once()) all += part;
    return all;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST(DescriptorLog, PrefixesEveryLineAndTagsAllButInfo) {
  Pipe pipe;
  DescriptorLog log({.prefix = "[rank 3] ", .least = Level::debug}, pipe.writer());
  log.info("first\nsecond");
  log.warning("careful");
  log.error("");
  log.debug("fine print");
  pipe.close_writer();
  EXPECT_EQ(pipe.read_to_the_end(),
            "[rank 3] first\n[rank 3] second\n[rank 3] warning: careful\n[rank 3] error: \n"
            "[rank 3] debug: fine print\n");
}

TEST(DescriptorLog, DropsWhatIsBelowTheLeastLevel) {
  Pipe pipe;
  DescriptorLog log({.prefix = "", .least = Level::warning}, pipe.writer());
  log.debug("a");
  log.info("b");
  log.warning("c");
  pipe.close_writer();
  EXPECT_EQ(pipe.read_to_the_end(), "warning: c\n");
}

TEST(DescriptorLog, LinesOfManyThreadsStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  Pipe pipe;
  std::string all;
  std::jthread reader([&] { all = pipe.read_to_the_end(); });
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < kThreads; ++t) {
      // Each its own log on one descriptor, as processes are.
      writers.emplace_back([&pipe, t] {
        DescriptorLog log({.prefix = "[" + std::to_string(t) + "] "}, pipe.writer());
        for (int i = 0; i < kLines; ++i) log.info(std::string(100, static_cast<char>('a' + t)));
      });
    }
  }
  pipe.close_writer();
  reader.join();
  std::istringstream lines(all);
  std::array<int, kThreads> counts{};
  for (std::string line; std::getline(lines, line);) {
    ASSERT_EQ(line.size(), 104u);
    const int t = line[1] - '0';
    ASSERT_EQ(line.substr(4), std::string(100, static_cast<char>('a' + t)));
    ++counts[static_cast<std::size_t>(t)];
  }
  EXPECT_THAT(counts, testing::Each(kLines));
}

TEST(DescriptorLog, ATextLargerThanThePipeGoesOnWhenThereIsRoom) {
  Pipe pipe;
  ASSERT_EQ(::fcntl(pipe.writer(), F_SETFL, O_NONBLOCK), 0);
  std::string all;
  std::jthread reader([&] { all = pipe.read_to_the_end(); });
  DescriptorLog log({}, pipe.writer());
  log.info(std::string(1000000, 'x'));
  pipe.close_writer();
  reader.join();
  EXPECT_EQ(all.size(), 1000001u);
}

TEST(DescriptorLog, AClosedDescriptorIsNoReasonToThrow) {
  DescriptorLog log({}, -1);
  EXPECT_NO_THROW(log.error("nobody hears this"));
}

TEST(MemoryLog, KeepsLevelsAndOrder) {
  MemoryLog log;
  log.info("a");
  log.warning("b");
  EXPECT_THAT(log.lines(), ElementsAre(Pair(Level::info, "a"), Pair(Level::warning, "b")));
  EXPECT_EQ(log.text(), "a\nb\n");
}

TEST(MemoryLog, TakesLinesFromManyThreads) {
  MemoryLog log;
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < 4; ++t) {
      writers.emplace_back([&log] {
        for (int i = 0; i < 100; ++i) log.info("x");
      });
    }
  }
  EXPECT_EQ(log.lines().size(), 400u);
}

TEST(Level, HasNames) {
  EXPECT_EQ(name_of(Level::debug), "debug");
  EXPECT_EQ(name_of(Level::error), "error");
}

}  // namespace
}  // namespace shoal

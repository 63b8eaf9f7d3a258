#include "shoal/core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      all.push_back(entry.path().filename().string());
    }
    return all;
  }
  static std::string refusal(const std::function<void()>& act) {
    try {
      act();
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "";
  }
  static std::string write_refusal(const fs::path& path) {
    return refusal([&] { replace_file(path, "x"); });
  }

  TempFolder folder_;
};

TEST_F(FileTest, ReadsBackWhatWasWritten) {
  std::string content;
  for (int i = 0; i < 300000; ++i) content += static_cast<char>(i);
  replace_file(folder_ / "a", content);
  EXPECT_EQ(read_file(folder_ / "a"), content);
  replace_file(folder_ / "a", "");
  EXPECT_EQ(read_file(folder_ / "a"), "");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(FileTest, ReadsFilesThatHaveNoSize) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));
  EXPECT_EQ(read_file("/dev/null"), "");
}

TEST_F(FileTest, PiecesAppearTogetherAtCommit) {
  replace_file(folder_ / "a", "old");
  AtomicFile file(folder_ / "a");
  file.write("ne");
  file.write(std::string_view("w\0!", 3));
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  file.commit();
  EXPECT_EQ(read_file(folder_ / "a"), std::string("new\0!", 5));
  EXPECT_THROW(file.write("more"), BrokenInvariant);
  EXPECT_THROW(file.commit(), BrokenInvariant);
}

TEST_F(FileTest, WithoutCommitNothingHappened) {
  replace_file(folder_ / "a", "old");
  { AtomicFile(folder_ / "a").write("new"); }
  { AtomicFile(folder_ / "b").write("new"); }
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(FileTest, TwoWritersOfOnePathDoNotDisturbEachOther) {
  AtomicFile first(folder_ / "a");
  AtomicFile second(folder_ / "a");
  first.write("first");
  second.write("second");
  second.commit();
  EXPECT_EQ(read_file(folder_ / "a"), "second");
  first.commit();
  EXPECT_EQ(read_file(folder_ / "a"), "first");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(FileTest, ReadersSeeOneOfTheContentsAndNeverAPart) {
  const std::string a(50000, 'a');
  const std::string b(50000, 'b');
  replace_file(folder_ / "f", a);
  std::jthread writer([&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) replace_file(folder_ / "f", i % 2 ? a : b);
  });
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(folder_ / "f");
    ASSERT_TRUE(seen == a || seen == b);
  }
}

TEST_F(FileTest, KeepsTheModeOfTheFileItReplaces) {
  replace_file(folder_ / "a", "x");
  ASSERT_EQ(::chmod((folder_ / "a").c_str(), 0640), 0);
  replace_file(folder_ / "a", "y");
  struct stat status {};
  ASSERT_EQ(::stat((folder_ / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST_F(FileTest, ALinkStaysAndItsTargetIsReplaced) {
  fs::create_directory(folder_ / "real");
  replace_file(folder_ / "real" / "a", "old");
  fs::create_symlink("real/a", folder_ / "link");
  replace_file(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "real" / "a"), "new");
}

TEST_F(FileTest, WhatIsNotAFileIsWrittenInPlace) {
  replace_file("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(FileTest, APathWithoutAFolderIsInTheCurrentOne) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  replace_file("here", "x");
  EXPECT_EQ(read_file("here"), "x");
  fs::current_path(before);
  EXPECT_TRUE(fs::exists(folder_ / "here"));
}

TEST_F(FileTest, TheLongestNameWorks) {
  const fs::path path = folder_ / std::string(255, 'n');
  replace_file(path, "x");
  EXPECT_EQ(read_file(path), "x");
  EXPECT_THAT(write_refusal(folder_ / std::string(256, 'n')), HasSubstr("cannot write"));
}

TEST_F(FileTest, SaysWhyItCannotRead) {
  EXPECT_EQ(refusal([&] { read_file(folder_ / "no"); }),
            "cannot read " + (folder_ / "no").string() + ": there is no such file");
  EXPECT_THAT(refusal([&] { read_file(folder_.path()); }), HasSubstr("it is a folder, not a file"));
  EXPECT_THAT(refusal([&] { read_file(""); }), HasSubstr("there is no such file"));
}

TEST_F(FileTest, SaysWhyItCannotWrite) {
  EXPECT_EQ(write_refusal(folder_ / "no" / "a"), "cannot write " + (folder_ / "no/a").string() +
                                                     ": the folder " + (folder_ / "no").string() +
                                                     " does not exist: create it");
  EXPECT_THAT(write_refusal(folder_.path()), HasSubstr("it is a folder: give the name of a file"));
  EXPECT_THAT(write_refusal(folder_ / ""), HasSubstr("it is a folder"));
  replace_file(folder_ / "file", "x");
  EXPECT_THAT(write_refusal(folder_ / "file" / "a"), HasSubstr("is not a folder"));
  EXPECT_THAT(write_refusal("/proc/a"), HasSubstr("cannot write /proc/a: "));
}

TEST_F(FileTest, SaysThatPermissionIsMissing) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0555), 0);
  std::string fault;
  std::jthread([&] {
    // Root may write everywhere. The bare system call changes the user of this thread alone.
    constexpr long kKeep = -1;
    constexpr long kNobody = 65534;
    if (::geteuid() == 0) {
      ASSERT_EQ(::syscall(SYS_setresuid, kKeep, kNobody, kKeep), 0);
    }
    fault = write_refusal(folder_ / "a");
  }).join();
  EXPECT_THAT(fault, HasSubstr("no permission in the folder " + folder_.path().string()));
}

TEST_F(FileTest, AFullDiskIsNamed) {
  // /dev/full answers every write as a full disk does.
  EXPECT_EQ(write_refusal("/dev/full"),
            "cannot write /dev/full: the disk is full: free some space, or choose another folder");
}

// The limit on a file's size stops the write in the middle, as a disk does that fills up.
class SmallFilesOnly {
 public:
  SmallFilesOnly() {
    if (::getrlimit(RLIMIT_FSIZE, &before_) != 0) std::abort();
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {.rlim_cur = 3 * kDirectAlignment, .rlim_max = before_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) std::abort();
  }
  ~SmallFilesOnly() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  struct rlimit before_ {};
  sighandler_t handler_ = nullptr;
};

TEST_F(FileTest, AWriteThatFailsInTheMiddleLeavesTheOldFileAndNothingElse) {
  replace_file(folder_ / "a", "old");
  const std::string fault = refusal([&] {
    const SmallFilesOnly limit;
    replace_file(folder_ / "a", std::string(100000, 'x'));
  });
  EXPECT_THAT(fault, HasSubstr("cannot write " + (folder_ / "a").string()));
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

// Content that begins at a page, as write_direct wants it.
class PageContent {
 public:
  explicit PageContent(std::size_t size)
      : size_(size), memory_(static_cast<char*>(std::aligned_alloc(kDirectAlignment, 20 << 20))) {
    for (std::size_t i = 0; i < size; ++i) memory_[i] = static_cast<char>('a' + i % 23);
  }
  ~PageContent() { std::free(memory_); }
  std::string_view text() const { return {memory_, size_}; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(text())); }

 private:
  std::size_t size_;
  char* memory_;
};

TEST_F(FileTest, DirectWritesMakeFilesOfAnySize) {
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, 100'000, (16 << 20) + 5}) {
    const PageContent content(size);
    AtomicFile file(folder_ / "a");
    file.write_direct(content.bytes());
    file.commit();
    EXPECT_TRUE(read_file(folder_ / "a") == content.text()) << size;
  }
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

// Some file systems, and everything that is not a file, take no direct writes.
TEST_F(FileTest, DirectWritesWorkWhereTheyAreNotToBeHad) {
  const PageContent content(10'001);
  for (const fs::path& path :
       {fs::path("/dev/shm") / folder_.path().filename(), fs::path("/dev/null")}) {
    AtomicFile file(path);
    file.write_direct(content.bytes());
    file.commit();
  }
  EXPECT_TRUE(read_file(fs::path("/dev/shm") / folder_.path().filename()) == content.text());
  fs::remove(fs::path("/dev/shm") / folder_.path().filename());
}

TEST_F(FileTest, ADirectWriteThatFailsInTheMiddleLeavesTheOldFileAndNothingElse) {
  replace_file(folder_ / "a", "old");
  const PageContent content(100'000);
  const std::string fault = refusal([&] {
    const SmallFilesOnly limit;
    AtomicFile file(folder_ / "a");
    file.write_direct(content.bytes());
  });
  EXPECT_THAT(fault, HasSubstr("cannot write " + (folder_ / "a").string()));
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(FileTest, DirectWritesWantContentThatBeginsAtAPage) {
  const PageContent content(5000);
  AtomicFile file(folder_ / "a");
  EXPECT_THROW(file.write_direct(content.bytes().subspan(1)), BrokenInvariant);
}

}  // namespace
}  // namespace shoal

#include "shoal/launch/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"
#include "shoal/launch/rendezvous_file.h"

namespace shoal {
namespace {

class SecretTest : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& content, unsigned mode = 0600) {
    const auto path = folder_ / "secret";
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }

  TempFolder folder_;
};

TEST_F(SecretTest, RandomOnesAreLongAndDiffer) {
  const auto one = random_secret();
  EXPECT_EQ(one.size(), 64U);
  EXPECT_NE(one, random_secret());
}

TEST_F(SecretTest, AFileIsReadWithoutItsNewline) {
  EXPECT_EQ(read_secret_file(file("  0123456789abcdef\n")), "0123456789abcdef");
}

TEST_F(SecretTest, AFileOthersCanReadIsRefused) {
  try {
    read_secret_file(file("0123456789abcdef", 0640));
    FAIL() << "was taken";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("chmod 600"));
  }
}

TEST_F(SecretTest, MissingEmptyShortAndHugeFilesAreRefused) {
  EXPECT_THROW(read_secret_file(folder_ / "none"), InvalidInput);
  EXPECT_THROW(read_secret_file(file("")), InvalidInput);
  EXPECT_THROW(read_secret_file(file("0123456789abcde")), InvalidInput);
  EXPECT_THROW(read_secret_file(file(std::string(5000, 'x'))), InvalidInput);
  EXPECT_THROW(read_secret_file(folder_.path()), InvalidInput);
}

TEST_F(SecretTest, APrivateFolderIsPrivate) {
  ::chmod(folder_.path().c_str(), 0700);
  const auto made = private_folder(folder_.path());
  EXPECT_EQ(made, folder_ / "shoal");
  struct stat facts {};
  ASSERT_EQ(::stat(made.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
  ::chmod(made.c_str(), 0755);
  EXPECT_THROW(private_folder(folder_.path()), InvalidInput);
}

TEST_F(SecretTest, AFolderOthersCanEnterIsNotUsed) {
  ::chmod(folder_.path().c_str(), 0755);
  EXPECT_NE(private_folder(folder_.path()).parent_path(), folder_.path());
}

TEST_F(SecretTest, ARendezvousFileIsReadBack) {
  const auto path = folder_ / "job.meet";
  EXPECT_FALSE(read_rendezvous(path).has_value());
  write_rendezvous(path, {.port = 1, .secret = "old"});
  write_rendezvous(path, {.port = 4711, .secret = "new"});
  const auto found = read_rendezvous(path);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->port, 4711);
  EXPECT_EQ(found->secret, "new");
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
}

TEST_F(SecretTest, AForeignRendezvousFileIsRefused) {
  for (const char* content : {"", "{}", "[1]", "{\"port\":\"x\",\"secret\":1}", "{\"port\":1}"}) {
    EXPECT_THROW(read_rendezvous(file(content)), InvalidInput) << content;
  }
  EXPECT_THROW(read_rendezvous(file("{\"port\":1,\"secret\":\"s\"}", 0644)), InvalidInput);
  std::filesystem::create_symlink(file("{\"port\":1,\"secret\":\"s\"}"), folder_ / "link");
  EXPECT_THROW(read_rendezvous(folder_ / "link"), InvalidInput);
}

}  // namespace
}  // namespace shoal

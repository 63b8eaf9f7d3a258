#include "shoal/core/file_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

std::vector<std::byte> some_bytes(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count) + 1);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Every way in which head, whole vectors and tail can fall, and content of several blocks.
TEST(FileImageTest, HoldsWhatWasPutAndKnowsItsChecksum) {
  FileImage image;
  for (const std::size_t at : {0, 1, 15, 16, 63, 4096}) {
    for (const std::size_t count : {0, 1, 15, 16, 17, 4095, 12288, 12289, 250'001}) {
      const auto content = some_bytes(count);
      image.resize(at + count);
      EXPECT_EQ(image.put(at, content), crc32c(content));
      EXPECT_TRUE(std::ranges::equal(image.bytes().subspan(at), content)) << at << " " << count;
    }
  }
}

TEST(FileImageTest, LeavesItsNeighboursAlone) {
  FileImage image;
  const auto around = some_bytes(1000);
  const auto inside = some_bytes(333);
  image.resize(1000);
  image.put(0, around);
  image.put(77, inside);
  auto expected = around;
  std::ranges::copy(inside, expected.begin() + 77);
  EXPECT_TRUE(std::ranges::equal(image.bytes(), expected));
}

TEST(FileImageTest, KeepsItsMemory) {
  FileImage image;
  image.resize(5 << 20);
  const std::byte* first = image.bytes().data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % kDirectAlignment, 0u);
  image.resize(10);
  EXPECT_EQ(image.size(), 10u);
  image.resize(5 << 20);
  EXPECT_EQ(image.bytes().data(), first);
}

TEST(FileImageTest, AnotherThreadSeesWhatWasPut) {
  FileImage image;
  const auto content = some_bytes(3 << 20);
  image.resize(content.size());
  const std::uint32_t checksum = image.put(0, content);
  std::uint32_t seen = 0;
  std::thread([&] { seen = crc32c(image.bytes()); }).join();
  EXPECT_EQ(seen, checksum);
}

TEST(FileImageTest, RefusesContentThatDoesNotFit) {
  FileImage image;
  image.resize(10);
  const auto content = some_bytes(5);
  EXPECT_THROW(image.put(6, content), BrokenInvariant);
  EXPECT_THROW(image.put(11, {}), BrokenInvariant);
}

}  // namespace
}  // namespace shoal

#include "shoal/core/digest.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "shoal/core/check.h"

namespace shoal {
namespace {

std::vector<std::byte> noise(std::size_t size, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(generator());
  return bytes;
}

// Vectors of FIPS 180-2, appendix B.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWhole) {
  Sha256 digest;
  for (const char* piece : {"a", "", "b", "c"}) digest.add(piece);
  Sha256 moved = std::move(digest);
  EXPECT_EQ(moved.hex(), sha256_hex("abc"));
}

TEST(Sha256, NothingFollowsItsEnd) {
  Sha256 digest;
  digest.hex();
  EXPECT_THROW(digest.add("more"), BrokenInvariant);
  EXPECT_THROW(digest.hex(), BrokenInvariant);
}

// Vectors of RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(Crc32c, KnownAnswersWithAndWithoutTheInstruction) {
  std::vector<std::byte> zeros(32);
  std::vector<std::byte> ones(32, std::byte{0xFF});
  std::vector<std::byte> up;
  for (int i = 0; i < 32; ++i) up.push_back(static_cast<std::byte>(i));
  const std::vector<std::byte> down(up.rbegin(), up.rend());
  const std::string_view digits = "123456789";
  for (const auto& crc : {crc32c, detail::crc32c_by_table}) {
    EXPECT_EQ(crc({}, 0), 0u);
    EXPECT_EQ(crc(zeros, 0), 0x8A9136AAu);
    EXPECT_EQ(crc(ones, 0), 0x62A8AB43u);
    EXPECT_EQ(crc(up, 0), 0x46DD794Eu);
    EXPECT_EQ(crc(down, 0), 0x113FDB5Cu);
    EXPECT_EQ(crc(std::as_bytes(std::span(digits)), 0), 0xE3069283u);
  }
}

TEST(Crc32c, InstructionAndTableAgreeAtEverySizeAndAlignment) {
  const std::vector<std::byte> bytes = noise(70000);
  const std::span<const std::byte> all(bytes);
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (const std::size_t size : {0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 12287, 12288, 12289,
                                   12296, 24575, 24576, 24577, 36864, 60001}) {
      const auto part = all.subspan(offset, size);
      ASSERT_EQ(crc32c(part, 123), detail::crc32c_by_table(part, 123)) << offset << " " << size;
    }
  }
}

TEST(Crc32c, ContinuesAcrossEveryCut) {
  const std::vector<std::byte> bytes = noise(30000, 2);
  const std::span<const std::byte> all(bytes);
  const std::uint32_t whole = crc32c(all);
  for (std::size_t cut = 0; cut <= all.size(); cut += 997) {
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), whole) << cut;
  }
}

TEST(Crc32c, AnyChangedBitChangesIt) {
  std::vector<std::byte> bytes = noise(64, 3);
  const std::uint32_t before = crc32c(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_NE(crc32c(bytes), before) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST(NameHash, IsTheFirstEightBytesOfTheSha256LittleEndian) {
  EXPECT_EQ(name_hash("abc"), 0xeacf018fbf1678baull);
  EXPECT_NE(name_hash("a"), name_hash("b"));
}

}  // namespace
}  // namespace shoal

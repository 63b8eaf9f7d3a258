#include "shoal/data/byte_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string content_of(const std::filesystem::path& path) { return open_source(path)->read_rest(); }

class ByteSourceTest : public testing::Test {
 protected:
  // What a file of that name and content is refused with.
  std::string refused(std::string_view name, std::string_view content) {
    return refusal([&] { memory_source(std::string(name), std::string(content))->read_rest(); });
  }
  TempFolder folder_;
};

TEST_F(ByteSourceTest, ReadsPlainAndPackedContentAlike) {
  for (const std::size_t size : {0, 1, 100, 262'144, 262'145, 1'000'000}) {
    const std::string content = counting(size);
    EXPECT_EQ(content_of(folder_.write("a", content)), content) << size;
    EXPECT_EQ(content_of(folder_.write("a.gz", gzip(content))), content) << size;
  }
}

TEST_F(ByteSourceTest, ReadsGzipMembersOneAfterTheOther) {
  const std::string content = counting(300'000);
  const auto path = folder_.write("a.gz", gzip(content) + gzip("") + gzip("end"));
  EXPECT_EQ(content_of(path), content + "end");
}

TEST_F(ByteSourceTest, CountsUnpackedBytesAndKnowsTheMostThereCanBe) {
  const auto plain = open_source(folder_.write("a", "123456"));
  EXPECT_EQ(plain->largest_size(), 6u);
  std::array<std::byte, 4> four{};
  plain->read_exactly(four, "a word");
  EXPECT_EQ(plain->position(), 4u);
  const std::string zeros(8'000'000, '\0');
  const auto packed = open_source(folder_.write("a.gz", gzip(zeros)));
  EXPECT_GE(packed->largest_size(), zeros.size());
}

TEST_F(ByteSourceTest, NamesByteAndLengthWhenTheEndComesEarlyOrLate) {
  const auto source = open_source(folder_.write("short", "abcdef"));
  std::array<std::byte, 4> four{};
  source->read_exactly(four, "a word");
  EXPECT_THAT(refusal([&] { source->expect_end("one word"); }),
              AllOf(StartsWith("Corrupt: "), HasSubstr("short: byte 4"), HasSubstr("one word")));
  const auto again = open_source(folder_ / "short");
  again->read_exactly(four, "a word");
  EXPECT_THAT(refusal([&] { again->read_exactly(four, "a word"); }),
              AllOf(StartsWith("Corrupt: "), HasSubstr("short: byte 4: expected 4 bytes of a word"),
                    HasSubstr("found the end after 2")));
}

TEST_F(ByteSourceTest, RefusesAGzipStreamCutAnywhere) {
  const std::string packed = gzip(counting(5'000));
  for (std::size_t length = 2; length < packed.size(); ++length) {
    EXPECT_THAT(refused("cut.gz", packed.substr(0, length)),
                AllOf(StartsWith("Corrupt: "), HasSubstr("cut.gz: byte "), HasSubstr("cut short")))
        << length << " of " << packed.size();
  }
}

TEST_F(ByteSourceTest, RefusesDamagedGzip) {
  const std::string packed = gzip(counting(5'000));
  std::string crc = packed;
  crc[crc.size() - 8] ^= 1;
  EXPECT_THAT(refused("crc.gz", crc), HasSubstr("incorrect data check"));
  std::string length = packed;
  length[length.size() - 4] ^= 1;
  EXPECT_THAT(refused("length.gz", length), HasSubstr("incorrect length check"));
  EXPECT_THAT(refused("more.gz", packed + std::string(4, '\0')),
              AllOf(HasSubstr(fmt::format("byte {}", packed.size())), HasSubstr("more bytes")));
  EXPECT_THAT(refused("more.gz", packed + "\x1F"), HasSubstr("cut short"));
  EXPECT_THAT(refused("more.gz", packed + "\x1Fxxxx"), HasSubstr("damaged"));
}

TEST_F(ByteSourceTest, RefusesANameThatDoesNotFitTheContent) {
  EXPECT_THAT(refused("plain.gz", "abcdef"),
              AllOf(HasSubstr("expected gzip (1f 8b), found 61 62"), HasSubstr("without .gz")));
  EXPECT_THAT(refused("empty.gz", ""), HasSubstr("found the end of the file after 0"));
  EXPECT_THAT(refused("packed", gzip("abc")),
              AllOf(HasSubstr("expected plain data, found gzip"), HasSubstr("ends in .gz")));
}

TEST_F(ByteSourceTest, RefusesWhatIsNoRegularFile) {
  EXPECT_THAT(refusal([&] { open_source(folder_ / "absent"); }),
              AllOf(StartsWith("InvalidInput: cannot read"), HasSubstr("absent: No such file")));
  EXPECT_THAT(refusal([&] { open_source(folder_.path()); }), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal([&] { open_source(folder_ / "pipe"); }), HasSubstr("not a regular file"));
}

TEST_F(ByteSourceTest, StopsWhenAsked) {
  std::stop_source stop;
  const auto source =
      open_source(folder_.write("a.gz", gzip(counting(1'000'000))), stop.get_token());
  stop.request_stop();
  EXPECT_THAT(refusal([&] { source->read_rest(); }), StartsWith("Cancelled: "));
}

TEST_F(ByteSourceTest, SurvivesAnyDamageToGzip) {
  const std::string content = counting(700);
  const std::string packed = gzip(content);
  const int refused = survive_damage(packed, 2'000, [&](const std::string& damaged) {
    // Only bytes of the header that say nothing about the content may differ unnoticed.
    EXPECT_EQ(memory_source("d.gz", damaged)->read_rest(), content);
  });
  EXPECT_GT(refused, static_cast<int>(packed.size()) + 1'500);
}

}  // namespace
}  // namespace shoal

#include "shoal/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "shoal/core/digest.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const IdxRole kImages{.name = "images", .least_dimensions = 2, .most_dimensions = 4};
const IdxRole kLabels{.name = "labels", .least_dimensions = 1, .most_dimensions = 1};

class IdxTest : public testing::Test {
 protected:
  std::string refused(std::string_view content, const IdxRole& role = kImages) {
    const auto read = [&](const std::string& name, std::string bytes) {
      return refusal([&] { read_idx(*memory_source(name, std::move(bytes)), role); });
    };
    const std::string plain = read("x-idx", std::string(content));
    // The packed file is refused too; how much it can hold at most is less certain there.
    EXPECT_NE(read("x-idx.gz", gzip(content)), "") << plain;
    return plain;
  }
  Samples samples(std::string_view images, std::string_view labels, std::int64_t classes = 0) {
    return read_idx_samples(folder_.write("images", images), folder_.write("labels", labels),
                            classes);
  }
  TempFolder folder_;
};

TEST_F(IdxTest, ReadsBytesInTheirShape) {
  const auto path = folder_.write("a", idx_header(0x08, {2, 3, 4}) + counting(24));
  const IdxArray array = read_idx(path, kImages);
  EXPECT_EQ(array.type, ElementType::uint8);
  EXPECT_THAT(array.shape, ElementsAre(2, 3, 4));
  EXPECT_EQ(array.header_bytes, 16);
  EXPECT_EQ(array.values.as<std::uint8_t>()[23], 23);
}

TEST_F(IdxTest, ReadsEveryTypeAsBigEndian) {
  const auto read = [&](int type, const std::string& values) {
    return read_idx(folder_.write("a", idx_header(type, {2}) + values), kLabels);
  };
  EXPECT_THAT(read(0x09, "\xFF\x02").values.as<std::int8_t>(), ElementsAre(-1, 2));
  EXPECT_THAT(read(0x0B, std::string("\xFF\xFE\x01\x02", 4)).values.as<std::int16_t>(),
              ElementsAre(-2, 258));
  EXPECT_THAT(
      read(0x0C, big_endian(0xFFFFFFFD, 4) + big_endian(70'000, 4)).values.as<std::int32_t>(),
      ElementsAre(-3, 70'000));
  EXPECT_THAT(read(0x0D, big_endian(std::bit_cast<std::uint32_t>(1.5f), 4) +
                             big_endian(std::bit_cast<std::uint32_t>(-2.0f), 4))
                  .values.as<float>(),
              ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(read(0x0E, big_endian(std::bit_cast<std::uint64_t>(0.1), 8) +
                             big_endian(std::bit_cast<std::uint64_t>(1e300), 8))
                  .values.as<double>(),
              ElementsAre(0.1, 1e300));
}

TEST_F(IdxTest, RefusesAWrongMagic) {
  const std::string rest = big_endian(1, 4) + big_endian(1, 4) + big_endian(1, 4) + "x";
  EXPECT_THAT(refused("abcd" + rest), AllOf(StartsWith("Corrupt: "), HasSubstr("x-idx: byte 0"),
                                            HasSubstr("two zero bytes"), HasSubstr("0x61626364")));
  EXPECT_THAT(refused(std::string("\x03\x08\x00\x00", 4) + rest),
              AllOf(HasSubstr("byte 0"), HasSubstr("0x03080000: its bytes are swapped")));
  EXPECT_THAT(refused(std::string("\0\0\x0A\x03", 4) + rest),
              AllOf(HasSubstr("byte 2"), HasSubstr("element type"), HasSubstr("found 0a")));
  EXPECT_THAT(refused(std::string("\0\0\x08\x00", 4) + rest),
              AllOf(HasSubstr("byte 3"), HasSubstr("2 to 4 dimensions"), HasSubstr("found 0")));
}

TEST_F(IdxTest, RefusesTheFileOfAnotherRole) {
  const std::string labels = idx_header(0x08, {3}) + "abc";
  EXPECT_THAT(refused(labels), HasSubstr("byte 3: expected 2 to 4 dimensions for images, found 1"));
  const std::string images = idx_header(0x08, {1, 1, 1}) + "a";
  EXPECT_THAT(refused(images, kLabels), HasSubstr("expected 1 dimensions for labels, found 3"));
}

TEST_F(IdxTest, RefusesSizesThatTheFileCannotHold) {
  EXPECT_THAT(refused(idx_header(0x08, {0, 28, 28})),
              HasSubstr("byte 4: expected a size of 1 or more, found 0"));
  // The product overflows 64 bits; nothing of that size is allocated.
  EXPECT_THAT(refused(idx_header(0x0E, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}) + "abc"),
              AllOf(HasSubstr("byte 4"), HasSubstr("4294967295 x 4294967295 x 4294967295")));
  EXPECT_THAT(refused(idx_header(0x08, {1, 2, 1'000'000}) + "abc"), HasSubstr("byte 12"));
}

TEST_F(IdxTest, RefusesAFileThatIsShorterOrLongerThanItSays) {
  EXPECT_THAT(refused(idx_header(0x08, {2, 2, 2}) + "1234567"),
              HasSubstr("byte 16: expected 8 bytes of IDX values, found the end after 7"));
  EXPECT_THAT(refused(idx_header(0x08, {2, 2, 2}) + "123456789"),
              AllOf(HasSubstr("byte 24: expected the end of the file after 2 x 2 x 2 values"),
                    HasSubstr("found more")));
  EXPECT_THAT(refused(std::string("\0\0\x08", 3)), HasSubstr("byte 0: expected 4 bytes"));
}

TEST_F(IdxTest, PutsPicturesAndLabelsTogether) {
  const Samples both = samples(idx_header(0x08, {3, 2, 2}) + counting(12),
                               idx_header(0x08, {3}) + std::string("\2\0\1", 3));
  EXPECT_EQ(both.count, 3);
  EXPECT_THAT(both.shape, ElementsAre(1, 2, 2));
  EXPECT_THAT(both.labels, ElementsAre(2, 0, 1));
  EXPECT_EQ(both.answers.classes, 3);
  const Samples colors = samples(idx_header(0x08, {1, 3, 2, 2}) + counting(12),
                                 idx_header(0x0B, {1}) + big_endian(300, 2));
  EXPECT_THAT(colors.shape, ElementsAre(3, 2, 2));
  EXPECT_EQ(colors.answers.classes, 301);
  const Samples wide = samples(idx_header(0x0B, {2, 1}) + std::string("\xFF\xFF\x00\x07", 4),
                               idx_header(0x08, {2}) + std::string("\0\0", 2), 5);
  EXPECT_EQ(wide.type, ElementType::float32);
  EXPECT_THAT(wide.values.as<float>(), ElementsAre(-1.0f, 7.0f));
  EXPECT_EQ(wide.answers.classes, 5);
}

TEST_F(IdxTest, RefusesLabelsThatDoNotFit) {
  const std::string images = idx_header(0x08, {2, 1, 1}) + "ab";
  const auto with = [&](const std::string& labels, std::int64_t classes = 10) {
    return refusal([&] { samples(images, labels, classes); });
  };
  EXPECT_THAT(with(idx_header(0x08, {2}) + std::string("\0\xC8", 2)),
              AllOf(StartsWith("Corrupt: "),
                    HasSubstr("labels: byte 9: expected a label of 0 to 9, found 200")));
  EXPECT_THAT(with(idx_header(0x0C, {2}) + big_endian(1, 4) + big_endian(0xFFFFFFFF, 4), 0),
              HasSubstr("byte 12: expected a label of 0 or more, found -1"));
  EXPECT_THAT(with(idx_header(0x0D, {2}) + std::string(8, '\0')), HasSubstr("whole numbers"));
  EXPECT_THAT(with(idx_header(0x08, {3}) + std::string(3, '\0')),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("2 samples"), HasSubstr("3 labels")));
}

TEST_F(IdxTest, SurvivesAnyDamage) {
  const std::string content = idx_header(0x0B, {3, 2, 2}) + counting(24);
  const int refused = survive_damage(content, 3'000, [&](const std::string& damaged) {
    const IdxArray array = read_idx(*memory_source("damaged", damaged), kImages);
    ASSERT_EQ(array.values.size() + static_cast<std::size_t>(array.header_bytes), damaged.size());
  });
  EXPECT_GT(refused, static_cast<int>(content.size()) + 500);
}

TEST_F(IdxTest, FindsAFileByTheBeginningOfItsName) {
  folder_.write("train-images-idx3-ubyte.gz", "");
  EXPECT_EQ(find_idx_file(folder_.path(), {"train-images"}).filename(),
            "train-images-idx3-ubyte.gz");
  folder_.write("train-images-idx3-ubyte", "");
  EXPECT_EQ(find_idx_file(folder_.path(), {"train-images"}).filename(), "train-images-idx3-ubyte");
  folder_.write("train-images.other", "");
  EXPECT_THAT(refusal([&] { find_idx_file(folder_.path(), {"train-images"}); }),
              HasSubstr("found train-images-idx3-ubyte and train-images.other"));
  EXPECT_THAT(refusal([&] {
                find_idx_file(folder_.path(), {"t10k-images", "test-images"});
              }),
              HasSubstr("begins with t10k-images or test-images, found none"));
  EXPECT_THAT(refusal([&] { find_idx_file(folder_ / "absent", {"x"}); }),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("No such file")));
}

// The values that were measured on the real files.
TEST(FashionMnistFiles, AreTheKnownOnes) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << folder << " is missing: install dataset-fashion-mnist";
  }
  const auto part = [&](const std::string& prefix) {
    return read_idx_samples(find_idx_file(folder, {prefix + "-images"}),
                            find_idx_file(folder, {prefix + "-labels"}), 10);
  };
  const auto sum = [](const Samples& samples) {
    const auto bytes = samples.values.as<std::uint8_t>();
    return std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  };
  const Samples train = part("train");
  EXPECT_EQ(train.count, 60'000);
  EXPECT_THAT(train.shape, ElementsAre(1, 28, 28));
  EXPECT_EQ(sum(train), 3'431'114'169u);
  EXPECT_THAT(std::vector(train.labels.begin(), train.labels.begin() + 4), ElementsAre(9, 0, 0, 3));
  const Samples test = part("t10k");
  EXPECT_EQ(test.count, 10'000);
  EXPECT_EQ(sum(test), 573'469'082u);
  EXPECT_THAT(std::vector(test.labels.begin(), test.labels.begin() + 4), ElementsAre(9, 2, 1, 1));
  for (int label = 0; label < 10; ++label) {
    EXPECT_EQ(std::count(train.labels.begin(), train.labels.end(), label), 6'000) << label;
    EXPECT_EQ(std::count(test.labels.begin(), test.labels.end(), label), 1'000) << label;
  }
}

}  // namespace
}  // namespace shoal

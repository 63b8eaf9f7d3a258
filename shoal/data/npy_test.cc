#include "shoal/data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class NpyTest : public testing::Test {
 protected:
  std::string refused(std::string content) {
    return refusal([&] { read_npy(*memory_source("x.npy", std::move(content))); });
  }
  Samples samples(std::string_view inputs, std::string_view labels,
                  const NpyOptions& options = {}) {
    return read_npy_samples(folder_.write("x.npy", inputs), folder_.write("y.npy", labels),
                            options);
  }
  // Two values of `type` as samples of one float.
  std::vector<float> floats(const std::string& type, const std::string& values) {
    const Samples read = samples(npy_header(type, "(2,)") + values, two_labels_, {.classes = 2});
    EXPECT_EQ(read.type, ElementType::float32);
    EXPECT_THAT(read.shape, ElementsAre(1));
    const auto all = read.values.as<float>();
    return {all.begin(), all.end()};
  }
  const std::string two_labels_ = npy_header("|u1", "(2,)") + std::string("\0\1", 2);
  TempFolder folder_;
};

TEST_F(NpyTest, ReadsWhatNumpySaved) {
  // numpy.save of numpy.arange(6, dtype=">i2").reshape(2, 3), version 2.4.6.
  const std::string file = std::string("\x93NUMPY\x01\x00v\x00", 10) +
                           "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3), }" +
                           std::string(58, ' ') + "\n" +
                           std::string("\0\0\0\1\0\2\0\3\0\4\0\5", 12);
  const NpyArray array = read_npy(folder_.write("a.npy", file));
  EXPECT_EQ(array.header_bytes, 128);
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  EXPECT_EQ(array.type, (NpyType{.kind = 'i', .bytes = 2}));
  EXPECT_THAT(array.values.as<std::int16_t>(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(NpyTest, ReadsEveryTypeInBothByteOrders) {
  EXPECT_THAT(floats("|b1", std::string("\1\0", 2)), ElementsAre(1, 0));
  EXPECT_THAT(floats("|i1", "\xFF\x02"), ElementsAre(-1, 2));
  for (const bool big : {false, true}) {
    const auto two = [&](std::uint64_t a, std::uint64_t b, int bytes) {
      return big ? big_endian(a, bytes) + big_endian(b, bytes)
                 : little_endian(a, bytes) + little_endian(b, bytes);
    };
    const std::string order = big ? ">" : "<";
    EXPECT_THAT(floats(order + "i2", two(0xFFFE, 258, 2)), ElementsAre(-2, 258));
    EXPECT_THAT(floats(order + "u2", two(0xFFFE, 258, 2)), ElementsAre(65534, 258));
    EXPECT_THAT(floats(order + "i4", two(0xFFFFFFFD, 70'000, 4)), ElementsAre(-3, 70'000));
    EXPECT_THAT(floats(order + "u4", two(0x80000000, 7, 4)), ElementsAre(2147483648.0f, 7));
    EXPECT_THAT(floats(order + "i8", two(~std::uint64_t{4}, 1 << 20, 8)), ElementsAre(-5, 1 << 20));
    EXPECT_THAT(floats(order + "u8", two(std::uint64_t{1} << 63, 1, 8)), ElementsAre(0x1p63f, 1));
    EXPECT_THAT(floats(order + "f4", two(std::bit_cast<std::uint32_t>(1.5f),
                                         std::bit_cast<std::uint32_t>(-0.1f), 4)),
                ElementsAre(1.5f, -0.1f));
    EXPECT_THAT(floats(order + "f8", two(std::bit_cast<std::uint64_t>(0.1),
                                         std::bit_cast<std::uint64_t>(-1e30), 8)),
                ElementsAre(0.1f, -1e30f));
    // 1.5 and the smallest number above 0 of 16 bits
    EXPECT_THAT(floats(order + "f2", two(0x3E00, 1, 2)), ElementsAre(1.5f, 0x1p-24f));
  }
  EXPECT_THAT(floats("<f2", little_endian(0xFBFF, 2) + little_endian(0x0400, 2)),
              ElementsAre(-65504.0f, 0x1p-14f));
}

TEST_F(NpyTest, KeepsBytesAsBytes) {
  const Samples read =
      samples(npy_header("|u1", "(2, 2, 3)") + counting(12), two_labels_, {.classes = 4});
  EXPECT_EQ(read.type, ElementType::uint8);
  EXPECT_THAT(read.shape, ElementsAre(1, 2, 3));
  EXPECT_EQ(read.values.as<std::uint8_t>()[11], 11);
  EXPECT_THAT(read.labels, ElementsAre(0, 1));
  EXPECT_EQ(read.answers.classes, 4);
  EXPECT_EQ(samples(npy_header("|u1", "(2, 3)") + counting(6), two_labels_).answers.classes, 2);
}

TEST_F(NpyTest, ReadsVersions2And3) {
  const std::string dict = "{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }";
  for (const int version : {2, 3}) {
    const auto array =
        read_npy(folder_.write("a.npy", npy_start(dict, version) + std::string("\1\0", 2)));
    EXPECT_EQ(array.values.as<std::int16_t>()[0], 1);
    EXPECT_EQ(array.header_bytes % 64, 0);
  }
}

TEST_F(NpyTest, ReadsHeadersOfOtherWriters) {
  const auto shape_of = [&](const std::string& dict) {
    return read_npy(folder_.write("a.npy", npy_start(dict) + "abcdef")).shape;
  };
  EXPECT_THAT(shape_of("{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\"u1\"}"),
              ElementsAre(2, 3));
  EXPECT_THAT(shape_of("{ 'descr' : '=u1' , 'fortran_order':True,'shape':( 6 , ) }"),
              ElementsAre(6));
}

// The value at (i, j, k, l) tells its place, whatever the order in the file.
TEST_F(NpyTest, PutsColumnMajorValuesInRows) {
  constexpr std::uint64_t kSizes[] = {70, 3, 2, 5};
  std::string values;
  for (std::uint64_t l = 0; l < kSizes[3]; ++l) {
    for (std::uint64_t k = 0; k < kSizes[2]; ++k) {
      for (std::uint64_t j = 0; j < kSizes[1]; ++j) {
        for (std::uint64_t i = 0; i < kSizes[0]; ++i) {
          values += little_endian(i * 30 + j * 10 + k * 5 + l, 2);
        }
      }
    }
  }
  const std::string labels = npy_header("|b1", "(70, 1)") + std::string(70, '\1');
  const Samples read = samples(npy_header("<u2", "(70, 3, 2, 5)", true) + values, labels);
  EXPECT_THAT(read.shape, ElementsAre(3, 2, 5));
  const auto floats = read.values.as<float>();
  for (std::size_t i = 0; i < floats.size(); ++i) ASSERT_EQ(floats[i], static_cast<float>(i));
  const Samples bytes = samples(npy_header("|u1", "(2, 3)", true) + "adbecf", two_labels_);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.values.data()), 6), "abcdef");
}

TEST_F(NpyTest, ReadsNumbersToPredict) {
  const Samples read =
      samples(npy_header("|u1", "(2, 3)") + counting(6),
              npy_header("<f4", "(2,)") + little_endian(std::bit_cast<std::uint32_t>(0.5f), 4) +
                  little_endian(std::bit_cast<std::uint32_t>(-2.0f), 4),
              {.task = LearningTask::regression});
  EXPECT_THAT(read.targets, ElementsAre(0.5f, -2.0f));
  EXPECT_EQ(read.answers.classes, 0);
  EXPECT_TRUE(read.labels.empty());
}

TEST_F(NpyTest, ReadsSeveralColumnsToPredict) {
  const std::string inputs = npy_header("|u1", "(2, 3)") + counting(6);
  const NpyOptions several{.task = LearningTask::multi_label};
  const Samples labels =
      samples(inputs, npy_header("|b1", "(2, 3)") + std::string("\0\1\1\0\0\1", 6), several);
  EXPECT_THAT(labels.targets, ElementsAre(0, 1, 1, 0, 0, 1));
  EXPECT_EQ(labels.answers, (AnswerForm{.yes_or_no = true, .shape = {3}}));
  const Samples numbers = samples(inputs, npy_header("|u1", "(2, 2)", true) + counting(4),
                                  {.task = LearningTask::regression});
  EXPECT_THAT(numbers.targets, ElementsAre(0, 2, 1, 3));
  EXPECT_EQ(numbers.answers, (AnswerForm{.shape = {2}}));
  EXPECT_THAT(
      refusal([&] { samples(inputs, npy_header("|u1", "(2, 2)", true) + counting(4), several); }),
      AllOf(StartsWith("Corrupt: "),
            HasSubstr("y.npy: row 0, column 1 (from 0): expected a label of 0 or 1, found 2")));
  EXPECT_THAT(
      refusal([&] { samples(inputs, npy_header("|u1", "(2, 1, 2)") + counting(4), several); }),
      HasSubstr("expected labels of one size, or of two for several columns"));
}

TEST_F(NpyTest, RefusesWhatIsNotFiniteUnlessAllowed) {
  const std::string inputs =
      npy_header("<f4", "(2,)") + little_endian(0x3F800000, 4) + little_endian(0x7FC00000, 4);
  EXPECT_THAT(refusal([&] { samples(inputs, two_labels_); }),
              AllOf(StartsWith("Corrupt: "),
                    HasSubstr("x.npy: byte 132: expected a finite number, found nan")));
  const Samples read = samples(inputs, two_labels_, {.allow_non_finite = true});
  EXPECT_TRUE(std::isnan(read.values.as<float>()[1]));
  const std::string halves =
      npy_header("<f2", "(2,)") + little_endian(0x7C00, 2) + little_endian(0xFE00, 2);
  EXPECT_THAT(refusal([&] { samples(halves, two_labels_); }), HasSubstr("byte 128"));
  const auto wide = npy_header("<f8", "(2,)") +
                    little_endian(std::bit_cast<std::uint64_t>(1e300), 8) + little_endian(0, 8);
  EXPECT_THAT(refusal([&] { samples(wide, two_labels_, {.allow_non_finite = true}); }),
              HasSubstr("byte 128: expected a number that 32 bits can hold, found 1e+300"));
}

TEST_F(NpyTest, RefusesLabelsThatAreNone) {
  const std::string inputs = npy_header("|u1", "(2, 3)") + counting(6);
  EXPECT_THAT(refusal([&] { samples(inputs, npy_header("|i1", "(2,)") + "\1\xFF"); }),
              HasSubstr("y.npy: byte 129: expected a label of 0 to 16777215, found -1"));
  EXPECT_THAT(refusal([&] { samples(inputs, two_labels_, {.classes = 1}); }),
              HasSubstr("byte 129: expected a label of 0 to 0, found 1"));
  EXPECT_THAT(
      refusal([&] { samples(inputs, npy_header("<u8", "(2,)") + std::string(16, '\xFF')); }),
      HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(refusal([&] { samples(inputs, npy_header("<f4", "(2,)") + std::string(8, '\0')); }),
              HasSubstr("found float32: for numbers to predict set data.task"));
  EXPECT_THAT(refusal([&] { samples(inputs, inputs); }),
              HasSubstr("y.npy: expected labels of one size, found the shape 2 x 3"));
  EXPECT_THAT(refusal([&] { samples(npy_header("|u1", "(3,)") + "abc", two_labels_); }),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("has 3 samples, but"),
                    HasSubstr("has 2 labels")));
}

TEST_F(NpyTest, RefusesAWrongStart) {
  const std::string good = npy_header("|u1", "(2,)") + "ab";
  EXPECT_THAT(refused("\x93NUMPX" + good.substr(6)),
              HasSubstr("x.npy: byte 0: expected the NPY magic 93 4e 55 4d 50 59, found "
                        "93 4e 55 4d 50 58"));
  EXPECT_THAT(refused("PK\x03\x04" + good), HasSubstr("it is an .npz"));
  EXPECT_THAT(refused("\x93NUMPY\x04" + good.substr(7)),
              HasSubstr("byte 6: expected the version 1.0, 2.0 or 3.0, found 4.0"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF", 12) + good),
              HasSubstr("byte 8: expected a header of at most 65536 bytes, found 4294967295"));
  EXPECT_THAT(refused(good.substr(0, 50)), HasSubstr("byte 10: expected 118 bytes of the NPY "
                                                     "header, found the end after 40"));
}

TEST_F(NpyTest, RefusesAHeaderThatSaysSomethingElse) {
  const auto header = [&](const std::string& dict) { return refused(npy_start(dict) + "ab"); };
  const auto type = [&](const std::string& code) {
    return header("{'descr': '" + code + "', 'fortran_order': False, 'shape': (2,), }");
  };
  EXPECT_THAT(type("|O"), HasSubstr("byte 20: expected bool, int8 to int64, uint8 to uint64, "
                                    "float16, float32 or float64 in the NPY header, found '|O': "
                                    "Python objects are pickles"));
  EXPECT_THAT(type("<U3"), HasSubstr("it is text"));
  EXPECT_THAT(type("<c8"), HasSubstr("complex numbers"));
  EXPECT_THAT(type("<M8[ns]"), HasSubstr("dates"));
  EXPECT_THAT(type("<f16"), HasSubstr("found '<f16'"));
  EXPECT_THAT(type("<b4"), HasSubstr("found '<b4'"));
  EXPECT_THAT(type(""), HasSubstr("found nothing"));
  EXPECT_THAT(header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"),
              HasSubstr("byte 20: expected one type for all values in the NPY header, found "
                        "records"));
  EXPECT_THAT(header("{'descr': '|u1', 'fortran_order': 0, 'shape': (2,), }"),
              HasSubstr("byte 44: expected True or False in the NPY header, found '0, "));
  EXPECT_THAT(header("{'descr': '|u1', 'fortran_order': False, }"),
              HasSubstr("expected the key 'shape'"));
  EXPECT_THAT(header("{'descr': '|u1', 'descr': '|u1'}"),
              HasSubstr("byte 27: expected the keys descr, fortran_order and shape, once each in "
                        "the NPY header, found 'descr'"));
  EXPECT_THAT(header("{'strides': 3}"), HasSubstr("found 'strides'"));
  EXPECT_THAT(header("[1, 2]"), HasSubstr("byte 10: expected '{'"));
  EXPECT_THAT(header("{'descr: 3"), HasSubstr("byte 11: expected a key in quotes"));
  EXPECT_THAT(header("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), } x"),
              HasSubstr("expected blanks after the dict in the NPY header, found 'x"));
}

TEST_F(NpyTest, RefusesShapesThatTheFileCannotHold) {
  const auto shape = [&](const std::string& sizes, const std::string& type = "|u1") {
    return refused(npy_header(type, sizes) + "ab");
  };
  EXPECT_THAT(shape("(3,)"), HasSubstr("byte 128: expected 3 bytes of NPY values, found the end "
                                       "after 2"));
  EXPECT_THAT(shape("(1,)"), HasSubstr("byte 129: expected the end of the file after 1 values"));
  EXPECT_THAT(shape("()"), HasSubstr("expected one size or more in the NPY header, found the "
                                     "shape () of a single value"));
  EXPECT_THAT(shape("(2, 0)"), HasSubstr("a size of 1 or more in the NPY header, found 0"));
  EXPECT_THAT(shape("(-2,)"), HasSubstr("a size of 63 bits in the NPY header, found '-2,)"));
  EXPECT_THAT(shape("(99999999999999999999,)"), HasSubstr("a size of 63 bits"));
  EXPECT_THAT(shape("(2.5,)"), HasSubstr("expected ')'"));
  // The product overflows 64 bits; nothing of that size is allocated.
  EXPECT_THAT(shape("(4294967296, 4294967296, 4294967296)", "<f8"),
              AllOf(HasSubstr("byte 128: expected values of at most 130 bytes"),
                    HasSubstr("4294967296 x 4294967296 x 4294967296 of 8 bytes each")));
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1, ";
  EXPECT_THAT(shape(many + ")"), HasSubstr("expected 64 sizes in the NPY header, found more"));
}

TEST_F(NpyTest, SurvivesDamage) {
  const std::string good = npy_header("<f4", "(2, 3)") + counting(24);
  const auto read = [&](const std::string& bytes) { read_npy(*memory_source("x.npy", bytes)); };
  EXPECT_GT(survive_damage(good, 2'000, read), 500);
}

}  // namespace
}  // namespace shoal

#include "shoal/data/cifar.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A record whose pixels are all `value`, after its label bytes.
std::string record(const std::string& labels, char value) {
  return labels + std::string(3072, value);
}
std::string label(int value) { return std::string(1, static_cast<char>(value)); }

class CifarTest : public testing::Test {
 protected:
  std::string refused(CifarLabel kind = CifarLabel::cifar10) {
    return refusal([&] { read_cifar(folder_.path(), kind); });
  }
  void write_good_cifar10() {
    folder_.write("data_batch_1.bin", record(label(3), 1) + record(label(9), 2));
    folder_.write("data_batch_2.bin", record(label(0), 3));
    folder_.write("test_batch.bin", record(label(5), 4));
  }
  void write_good_cifar100() {
    folder_.write("train.bin", record(label(19) + label(99), 1) + record(label(0) + label(7), 2));
    folder_.write("test.bin", record(label(1) + label(2), 3));
  }
  TempFolder folder_;
};

TEST_F(CifarTest, ReadsAllBatchesInOrder) {
  write_good_cifar10();
  const TrainAndTest both = read_cifar(folder_.path(), CifarLabel::cifar10);
  EXPECT_EQ(both.train.count, 3);
  EXPECT_THAT(both.train.shape, ElementsAre(3, 32, 32));
  EXPECT_THAT(both.train.labels, ElementsAre(3, 9, 0));
  EXPECT_EQ(both.train.answers.classes, 10);
  EXPECT_EQ(both.train.values.size(), 3u * 3072);
  EXPECT_EQ(both.train.values.as<std::uint8_t>()[3072], 2);
  EXPECT_EQ(both.train.values.as<std::uint8_t>()[3 * 3072 - 1], 3);
  EXPECT_THAT(both.test.labels, ElementsAre(5));
  EXPECT_THAT(both.test.answer_names, IsEmpty());
}

TEST_F(CifarTest, ReadsEitherLabelOfCifar100AndItsNames) {
  write_good_cifar100();
  EXPECT_THAT(read_cifar(folder_.path(), CifarLabel::fine).train.labels, ElementsAre(99, 7));
  std::string names;
  for (int i = 0; i < 20; ++i) names += fmt::format("class {}\r\n", i);
  folder_.write("coarse_label_names.txt", names + "\n");
  const Samples coarse = read_cifar(folder_.path(), CifarLabel::coarse).train;
  EXPECT_THAT(coarse.labels, ElementsAre(19, 0));
  EXPECT_EQ(coarse.answers.classes, 20);
  EXPECT_EQ(coarse.answer_names.at(19), "class 19");
}

TEST_F(CifarTest, ReadsPackedFiles) {
  write_good_cifar100();
  std::filesystem::remove(folder_ / "test.bin");
  folder_.write("test.bin.gz", gzip(record(label(4) + label(5), 3)));
  EXPECT_THAT(read_cifar(folder_.path(), CifarLabel::fine).test.labels, ElementsAre(5));
}

TEST_F(CifarTest, RefusesASizeThatIsNoNumberOfRecords) {
  write_good_cifar10();
  folder_.write("test_batch.bin", record(label(5), 4) + "abc");
  EXPECT_THAT(refused(), AllOf(StartsWith("Corrupt: "), HasSubstr("test_batch.bin: byte 3073"),
                               HasSubstr("records of 3073 bytes, found 3 bytes more")));
  folder_.write("test_batch.bin", record(label(1) + label(2), 3));
  EXPECT_THAT(refused(), HasSubstr("it has the size of a file of CIFAR-100"));
  folder_.write("test_batch.bin", "");
  EXPECT_THAT(refused(), HasSubstr("found an empty file"));
  write_good_cifar100();
  folder_.write("train.bin", record(label(1), 1));
  EXPECT_THAT(refused(CifarLabel::fine), HasSubstr("it has the size of a file of CIFAR-10"));
}

TEST_F(CifarTest, RefusesALabelOutOfRangeWithItsByte) {
  write_good_cifar10();
  folder_.write("data_batch_2.bin", record(label(0), 1) + record(label(10), 2));
  EXPECT_THAT(refused(), HasSubstr("data_batch_2.bin: byte 3073: expected a label of 0 to 9, found "
                                   "10"));
  write_good_cifar100();
  folder_.write("train.bin", record(label(20) + label(0), 1));
  EXPECT_THAT(refused(CifarLabel::fine),
              HasSubstr("byte 0: expected a label of 0 to 19, found 20"));
  folder_.write("train.bin", record(label(0) + label(100), 1));
  EXPECT_THAT(refused(CifarLabel::coarse), HasSubstr("byte 1: expected a label of 0 to 99"));
}

TEST_F(CifarTest, RefusesTheWrongNumberOfNames) {
  write_good_cifar10();
  folder_.write("batches.meta.txt", "airplane\nautomobile\n");
  EXPECT_THAT(refused(),
              HasSubstr("batches.meta.txt: expected 10 class names, one a line, found 2"));
}

TEST_F(CifarTest, RefusesPicklesAndGaps) {
  folder_.write("data_batch_1", "\x80\x02}");
  EXPECT_THAT(refused(),
              AllOf(StartsWith("Corrupt: "), HasSubstr("pickles of the Python version")));
  folder_.write("data_batch_1.bin", "\x80\x02}");
  EXPECT_THAT(refused(), HasSubstr("it is a pickle"));
  write_good_cifar10();
  std::filesystem::remove(folder_ / "data_batch_2.bin");
  folder_.write("data_batch_3.bin", record(label(0), 3));
  EXPECT_THAT(refused(), AllOf(StartsWith("InvalidInput: "), HasSubstr("data_batch_2.bin")));
  EXPECT_THAT(refused(CifarLabel::fine),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("train.bin: No such file")));
}

TEST_F(CifarTest, SurvivesAnyDamageToLabelsAndSize) {
  write_good_cifar10();
  const std::string good = record(label(3), 1);
  for (std::size_t length = 0; length < good.size(); length += 97) {
    folder_.write("data_batch_1.bin", good.substr(0, length));
    EXPECT_THAT(refused(), StartsWith("Corrupt: ")) << length;
  }
  for (int value = 0; value < 256; value += value < 12 ? 1 : 61) {
    folder_.write("data_batch_1.bin", record(label(value), 1));
    EXPECT_EQ(refused().empty(), value < 10) << value;
  }
}

}  // namespace
}  // namespace shoal

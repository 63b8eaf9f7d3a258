#include "shoal/data/open_data.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

std::string mnist_like(std::uint32_t count, std::uint32_t height = 2) {
  return idx_header(0x08, {count, height, 2}) + counting(std::size_t{count} * height * 2);
}
std::string labels_like(std::uint32_t count) {
  std::string labels = counting(count);
  for (char& label : labels) label = static_cast<char>(label % 3);
  return idx_header(0x08, {count}) + labels;
}

class OpenDataTest : public testing::Test {
 protected:
  OpenDataTest() {
    folder_.write("train-images-idx3-ubyte", mnist_like(20));
    folder_.write("train-labels-idx1-ubyte.gz", gzip(labels_like(20)));
    folder_.write("t10k-images-idx3-ubyte.gz", gzip(mnist_like(5)));
    folder_.write("t10k-labels-idx1-ubyte", labels_like(5));
    idx_.name = DataName::idx;
    idx_.path = folder_.path().string();
  }
  DataOptions csv(std::string_view text) {
    DataOptions options;
    options.name = DataName::csv;
    options.path = folder_.write("table.csv", text).string();
    return options;
  }
  TempFolder folder_;
  DataOptions idx_;
};

TEST_F(OpenDataTest, OpensAnIdxFolder) {
  const DataSplits splits = open_data(idx_, 1);
  EXPECT_EQ(splits.train->size(), 20);
  EXPECT_EQ(splits.validation->size(), 0);
  EXPECT_EQ(splits.test->size(), 5);
  EXPECT_THAT(splits.train->sample_shape(), ElementsAre(1, 2, 2));
  EXPECT_EQ(splits.train->classes(), 3);
  EXPECT_EQ(splits.summary(),
            "idx: 20 training, 0 validation and 5 test samples of 1x2x2, 3 classes");
}

TEST_F(OpenDataTest, KnowsTheFormOfPicturesFromTheirHeader) {
  idx_.classes = 3;
  const auto ahead = sample_form_ahead(idx_);
  ASSERT_TRUE(ahead.has_value());
  EXPECT_EQ(ahead->shape, open_data(idx_, 1).train->sample_shape());
  EXPECT_EQ(ahead->answers.classes, 3);
  folder_.write("train-images-idx3-ubyte", mnist_like(20).substr(0, 15));
  EXPECT_FALSE(sample_form_ahead(idx_).has_value()) << "a cut header";
  folder_.write("train-images-idx3-ubyte", "not IDX at all");
  EXPECT_FALSE(sample_form_ahead(idx_).has_value()) << "another kind of file";
  idx_.path = "/absent";
  EXPECT_FALSE(sample_form_ahead(idx_).has_value()) << "no folder";
}

TEST_F(OpenDataTest, KnowsNoFormAheadWhereTheWholeContentTells) {
  EXPECT_FALSE(sample_form_ahead(idx_).has_value()) << "the largest label is the last class";
  EXPECT_FALSE(sample_form_ahead(csv("1,2,0\n3,4,1\n")).has_value());
}

TEST_F(OpenDataTest, KnowsTheFormOfRandomSamplesFromTheOptions) {
  DataOptions random;
  random.name = DataName::random;
  random.shape = {3, 5};
  for (const std::int64_t classes : {0, 4}) {
    random.classes = classes;
    const auto ahead = sample_form_ahead(random);
    ASSERT_TRUE(ahead.has_value());
    EXPECT_THAT(ahead->shape, ElementsAre(3, 5));
    EXPECT_EQ(ahead->answers.classes, open_data(random, 1).train->classes());
  }
  random.csv.task = LearningTask::regression;
  EXPECT_EQ(sample_form_ahead(random)->answers.classes, 0);
}

TEST_F(OpenDataTest, NormalisesByTheTrainingSamplesOnly) {
  idx_.validation = 5;
  const DataSplits splits = open_data(idx_, 1);
  const Batch train = read_all(*splits.train);
  double sum = 0;
  double squares = 0;
  for (const float value : train.floats()) {
    sum += double{value};
    squares += double{value} * double{value};
  }
  EXPECT_NEAR(sum / 60, 0, 1e-6);
  EXPECT_NEAR(squares / 60, 1, 1e-6);
  // The test samples are the first training files' bytes: scaled by the same pair.
  Batch one;
  splits.test->read(std::vector<std::int64_t>{0, 1}, one);
  const float step = one.floats()[1] - one.floats()[0];
  EXPECT_NEAR(one.floats()[7] - one.floats()[0], 7 * step, 1e-5);
}

TEST_F(OpenDataTest, NormalisesAsAsked) {
  idx_.normalize = Normalize::none;
  EXPECT_EQ(read_all(*open_data(idx_, 1).test).floats()[7], 7.0f);
  idx_.normalize = Normalize::unit;
  EXPECT_EQ(read_all(*open_data(idx_, 1).test).floats()[7], 7.0f / 255);
  idx_.normalize = Normalize::standard;
  idx_.mean = {0.5};
  idx_.deviation = {0.25};
  EXPECT_EQ(read_all(*open_data(idx_, 1).test).floats()[0], -2.0f);
  idx_.mean = {0.5, 0.5};
  idx_.deviation = {0.25, 1};
  EXPECT_THAT(refusal([&] { open_data(idx_, 1); }),
              HasSubstr("data.mean has 2 values: idx takes 1"));
}

TEST_F(OpenDataTest, ValidationAndTrainingShareNoSample) {
  idx_.validation = 0.25;
  const DataSplits splits = open_data(idx_, 1);
  EXPECT_EQ(splits.train->size(), 15);
  EXPECT_EQ(splits.validation->size(), 5);
  EXPECT_EQ(splits.test->size(), 5);
  std::set<std::int64_t> ids;
  for (const auto* part : {&splits.train, &splits.validation}) {
    const Batch batch = read_all(**part);
    ids.insert(batch.sample_ids.begin(), batch.sample_ids.end());
    // The id is the row of the file: its label there is the row modulo 3.
    for (std::size_t i = 0; i < batch.labels.size(); ++i) {
      EXPECT_EQ(batch.labels[i], batch.sample_ids[i] % 3);
    }
  }
  EXPECT_THAT(ids, SizeIs(20));
  EXPECT_EQ(read_all(*open_data(idx_, 1).validation).sample_ids,
            read_all(*splits.validation).sample_ids);
}

TEST_F(OpenDataTest, RefusesTestFilesThatDoNotFit) {
  folder_.write("t10k-images-idx3-ubyte.gz", gzip(mnist_like(5, 3)));
  EXPECT_THAT(refusal([&] { open_data(idx_, 1); }),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("1x2x2 as in the training files, found "
                                                            "uint8 1x3x2")));
  std::filesystem::remove(folder_ / "t10k-images-idx3-ubyte.gz");
  EXPECT_THAT(refusal([&] { open_data(idx_, 1); }), HasSubstr("found none"));
}

TEST_F(OpenDataTest, RefusesATestLabelThatTrainingNeverSaw) {
  folder_.write("t10k-labels-idx1-ubyte", idx_header(0x08, {5}) + std::string("\0\1\2\3\0", 5));
  EXPECT_THAT(refusal([&] { open_data(idx_, 1); }),
              HasSubstr("byte 11: expected a label of 0 to 2, found 3"));
}

TEST_F(OpenDataTest, SaysHowToGetFashionMnist) {
  DataOptions options;
  options.path = (folder_ / "absent").string();
  EXPECT_THAT(refusal([&] { open_data(options, 1); }),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("absent"), HasSubstr("No such file"),
                    HasSubstr("install the package dataset-fashion-mnist")));
}

TEST_F(OpenDataTest, CutsOneTableIntoThreeParts) {
  std::string text = "x,y,class\n";
  for (int i = 0; i < 50; ++i) text += fmt::format("{},{},{}\n", i, 2 * i, i % 2);
  DataOptions options = csv(text);
  options.validation = 0.1;
  const DataSplits splits = open_data(options, 1);
  EXPECT_EQ(splits.train->size(), 35);
  EXPECT_EQ(splits.validation->size(), 5);
  EXPECT_EQ(splits.test->size(), 10);
  std::set<std::int64_t> ids;
  for (const auto* part : {&splits.train, &splits.validation, &splits.test}) {
    for (const std::int64_t id : read_all(**part).sample_ids) ids.insert(id);
  }
  EXPECT_THAT(ids, SizeIs(50));
  EXPECT_EQ(splits.summary(), "csv: 35 training, 5 validation and 10 test samples of 2, 2 classes");
}

TEST_F(OpenDataTest, TakesASecondTableAsTest) {
  DataOptions options = csv("x,y\n1,2.5\n2,3.5\n");
  options.csv.task = LearningTask::regression;
  options.test_path = folder_.write("test.csv", "x,y\n3,4.5\n").string();
  const DataSplits splits = open_data(options, 1);
  EXPECT_EQ(splits.train->size(), 2);
  EXPECT_THAT(read_all(*splits.test).targets, ElementsAre(4.5f));
  EXPECT_THAT(read_all(*splits.test).floats(), ElementsAre(3.0f));  // (3 - 1.5) / 0.5
  EXPECT_THAT(splits.summary(), HasSubstr("a number to predict"));
  options.test_path = folder_.write("test.csv", "z,y\n3,4.5\n").string();
  EXPECT_THAT(refusal([&] { open_data(options, 1); }),
              AllOf(HasSubstr("test.csv: expected the columns"), HasSubstr("(x), found z")));
  options.test_path = folder_.write("test.csv", "x,x2,y\n3,3,4.5\n").string();
  EXPECT_NE(refusal([&] { open_data(options, 1); }), "");
}

TEST(OpenRandomData, IsTheSameInEveryProcessAndSplitsLikeFiles) {
  DataOptions options;
  options.name = DataName::random;
  options.shape = {4};
  options.size = 100;
  options.test_size = 30;
  options.validation = 10;
  options.classes = 3;
  const DataSplits splits = open_data(options, 9);
  EXPECT_EQ(splits.train->size(), 90);
  EXPECT_EQ(splits.validation->size(), 10);
  EXPECT_EQ(splits.test->size(), 30);
  EXPECT_EQ(splits.train->classes(), 3);
  EXPECT_EQ(read_all(*open_data(options, 9).train).labels, read_all(*splits.train).labels);
  options.classes = 0;
  EXPECT_EQ(open_data(options, 9).train->classes(), 10);
  options.csv.task = LearningTask::regression;
  EXPECT_EQ(open_data(options, 9).train->classes(), 0);
}

TEST(DataOpening, GivesWhatOpenDataGivesOnAThreadOfItsOwn) {
  DataOptions options;
  options.name = DataName::random;
  std::vector<std::string> spans;
  {
    DataOpening opening(options, 9, [&](const DataSpan& span) { spans.emplace_back(span.name); });
    EXPECT_EQ(opening.take(Deadline::after(std::chrono::seconds(60))).train->size(), 10'000);
  }
  EXPECT_THAT(spans, ElementsAre("preprocess"));
}

TEST(DataOpening, ThrowsWhereItIsWaitedFor) {
  DataOptions options;
  options.name = DataName::csv;
  options.path = "/absent/table.csv";
  DataOpening opening(options, 9);
  EXPECT_THAT(refusal([&] { opening.take(Deadline::after(std::chrono::seconds(60))); }),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("/absent/table.csv")));
}

TEST(DataOpening, StopsInItsDestructor) {
  TempFolder folder;
  DataOptions options;
  options.name = DataName::csv;
  options.path = folder.write("t.csv.gz", gzip(std::string(8'000'000, ' '))).string();
  { DataOpening opening(options, 9); }  // would refuse the table if it were read to the end
  SUCCEED();
}

TEST(FashionMnist, OpensAsMeasured) {
  if (!std::filesystem::exists(kFashionMnistFolder)) {
    GTEST_SKIP() << kFashionMnistFolder << " is missing: install dataset-fashion-mnist";
  }
  const DataSplits splits = open_data({}, 1);
  EXPECT_EQ(splits.summary(),
            "fashion-mnist: 60000 training, 0 validation and 10000 test samples of 1x28x28, 10 "
            "classes");
  EXPECT_EQ(splits.test->facts().answer_names.at(9), "Ankle boot");
  // A black pixel shows mean and deviation: -0.286041 / 0.353024.
  Batch batch;
  splits.train->read(std::vector<std::int64_t>{0}, batch);
  EXPECT_EQ(batch.labels.at(0), 9);
  EXPECT_NEAR(batch.floats()[0], -0.286041 / 0.353024, 2e-6);
}

}  // namespace
}  // namespace shoal

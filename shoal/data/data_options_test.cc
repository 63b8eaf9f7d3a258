#include "shoal/data/data_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace shoal {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DataOptions, AreUsableAsTheyAre) { EXPECT_THAT(DataOptions().problems(), IsEmpty()); }

TEST(DataOptions, ComeFromAJobFile) {
  DataOptions options;
  read_toml(
      "[data]\nname = \"csv\"\npath = \"t.csv\"\nlabel = \"price\"\ntask = \"regression\"\n"
      "validation = 0.1\ntest = 500\nnormalize = \"none\"\ncolumns = [\"a\", \"b\"]\n"
      "header = \"yes\"\nshape = [3, 8, 8]\nthreads = 2\nprefetch = 3\nshuffle = false\n",
      "job.toml", {describe(options)});
  EXPECT_EQ(options.name, DataName::csv);
  EXPECT_EQ(options.path, "t.csv");
  EXPECT_EQ(options.csv.label, "price");
  EXPECT_EQ(options.csv.task, LearningTask::regression);
  EXPECT_EQ(options.validation, 0.1);
  EXPECT_EQ(options.test, 500);
  EXPECT_EQ(options.normalize, Normalize::none);
  EXPECT_THAT(options.csv.columns, ElementsAre("a", "b"));
  EXPECT_EQ(options.csv.header, CsvHeader::yes);
  EXPECT_THAT(options.shape, ElementsAre(3, 8, 8));
  EXPECT_EQ(options.threads, 2);
  EXPECT_EQ(options.prefetch, 3);
  EXPECT_FALSE(options.shuffle);
  EXPECT_THAT(options.problems(), IsEmpty());
}

TEST(DataOptions, NameEveryFaultAtOnce) {
  DataOptions options;
  options.name = DataName::csv;
  options.validation = -0.1;
  options.threads = -1;
  options.prefetch = 0;
  EXPECT_THAT(options.problems(),
              ElementsAre(HasSubstr("data.path is empty: give the file"),
                          HasSubstr("data.validation is -0.1"), HasSubstr("data.threads is -1"),
                          HasSubstr("data.prefetch is 0")));
}

struct Refusal {
  std::function<void(DataOptions&)> change;
  std::string fault;
};

void expect_refused(const std::vector<Refusal>& refusals) {
  for (const Refusal& one : refusals) {
    DataOptions options;
    one.change(options);
    EXPECT_THAT(options.problems(), Contains(HasSubstr(one.fault)));
  }
}

TEST(DataOptions, RefuseFilesThatDoNotGoWithTheName) {
  expect_refused({
      {[](auto& o) { o.test_path = "x"; }, "only csv, typed-csv, parquet, npy and text take one"},
      {[](auto& o) { o.labels_path = "x"; }, "data.labels_path is 'x': only data.name = \"npy\""},
      {[](auto& o) {
         o.name = DataName::npy;
         o.path = "x";
       },
       "data.labels_path is empty"},
      {[](auto& o) {
         o.name = DataName::npy;
         o.path = o.labels_path = o.test_labels_path = "x";
       },
       "data.test_path is empty: data.test_path and data.test_labels_path go together"},
      {[](auto& o) { o.crop = 8; }, "data.crop is 8: only data.name = \"image-folder\""},
      {[](auto& o) {
         o.name = DataName::image_folder;
         o.resize = -1;
       },
       "data.resize is -1: give 1 to 16384 pixels"},
      {[](auto& o) {
         o.name = DataName::image_folder;
         o.resize = 8;
         o.crop = 9;
       },
       "data.crop is 9, more than data.resize leaves"},
  });
}

TEST(DataOptions, RefuseLabelsThatTheDataCannotHave) {
  expect_refused({
      {[](auto& o) { o.csv.task = LearningTask::multi_label; }, "fashion-mnist has classes"},
      {[](auto& o) { o.csv.labels = {"a"}; }, "data.labels names columns: only csv"},
      {[](auto& o) {
         o.csv.labels = {"a", "b"};
       },
       "data.labels names 2 columns"},
      {[](auto& o) {
         o.csv.label = "a";
         o.csv.labels = {"b"};
       },
       "data.label is 'a' and data.labels names columns too"},
  });
}

TEST(DataOptions, RefuseWhatTextCannotBe) {
  const auto of_text = [](const std::function<void(DataOptions&)>& change) {
    return [=](DataOptions& o) {
      o.name = DataName::text;
      change(o);
    };
  };
  expect_refused({
      {of_text([](auto&) {}), "data.path is empty: give the file of data.name = \"text\""},
      {of_text([](auto& o) { o.context = 0; }), "data.context is 0"},
      {of_text([](auto& o) { o.stride = -1; }), "data.stride is -1"},
      {of_text([](auto& o) { o.mean = o.deviation = {1}; }), "text has characters"},
      {of_text([](auto& o) { o.csv.task = LearningTask::regression; }), "text has classes"},
  });
}

TEST(DataOptions, RefuseEachImpossibleValue) {
  expect_refused({
      {[](auto& o) { o.csv.separator = ""; }, "data.separator is ''"},
      {[](auto& o) { o.csv.separator = "\""; }, "data.separator"},
      {[](auto& o) { o.csv.label = ""; }, "data.label is empty"},
      {[](auto& o) { o.validation = 1.5; }, "data.validation is 1.5"},
      {[](auto& o) { o.test = std::numeric_limits<double>::infinity(); }, "data.test is inf"},
      {[](auto& o) { o.mean = {0.5}; }, "data.mean has 1 values and data.std 0"},
      {[](auto& o) { o.mean = o.deviation = {0}; }, "data.std has 0"},
      {[](auto& o) {
         o.mean = o.deviation = {1};
         o.normalize = Normalize::unit;
       },
       "needs data.normalize = \"standard\""},
  });
}

TEST(DataOptions, RefuseTasksAndNamesThatDoNotFit) {
  expect_refused({
      {[](auto& o) {
         o.name = DataName::plugin;
         o.csv.task = LearningTask::multi_label;
       },
       "data.task is given: a plugin's data set says that itself"},
      {[](auto& o) { o.csv.task = LearningTask::regression; }, "fashion-mnist has classes"},
      {[](auto& o) { o.classes = -1; }, "data.classes is -1"},
      {[](auto& o) { o.prefetch = 2'000; }, "data.prefetch is 2000"},
      {[](auto& o) { o.name = DataName::cifar10; }, "give the folder of data.name = \"cifar-10\""},
      {[](auto& o) {
         o.name = DataName::cifar100;
         o.path = "x";
         o.csv.label = "middle";
       },
       "cifar-100 has \"fine\" and \"coarse\""},
      {[](auto& o) {
         o.name = DataName::csv;
         o.path = "x";
         o.normalize = Normalize::unit;
       },
       "a csv has none"},
      {[](auto& o) {
         o.name = DataName::parquet;
         o.path = "x";
         o.normalize = Normalize::unit;
       },
       "a parquet has none"},
      {[](auto& o) { o.name = DataName::typed_csv; }, "give the file of data.name = \"typed-csv\""},
      {[](auto& o) {
         o.name = DataName::random;
         o.shape = {};
       },
       "data.shape is empty"},
      {[](auto& o) {
         o.name = DataName::random;
         o.shape = {1 << 20, 1 << 20};
       },
       "data.shape has the size 1048576"},
      {[](auto& o) {
         o.name = DataName::random;
         o.size = 0;
       },
       "data.size is 0"},
      {[](auto& o) {
         o.name = DataName::random;
         o.test_size = -1;
       },
       "data.test_size is -1"},
  });
}

}  // namespace
}  // namespace shoal

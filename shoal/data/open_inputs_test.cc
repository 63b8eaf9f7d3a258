#include "shoal/data/open_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shoal/core/error.h"
#include "shoal/data/test_files.h"
#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// x is learned with mean 2 and deviation 1, y with 20 and 10; the label stands between them.
constexpr const char* kTable = "x,kind,y\n1,0,10\n3,1,30\n";

struct Files {
  TempFolder folder;
  DataOptions options;
  DataSplits data;

  explicit Files(const char* table = kTable) {
    options.name = DataName::csv;
    options.path = folder.write("train.csv", table).string();
    options.csv.label = "1";
    options.test = 0;
    data = open_data(options, 0);
  }
  std::vector<float> inputs(const std::string& text) {
    const auto set = open_inputs(options, data, folder.write("inputs.csv", text));
    const Batch batch = read_all(*set);
    return {batch.floats().begin(), batch.floats().end()};
  }
  std::string refusal(const std::string& text) {
    try {
      (void)inputs(text);
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "accepted";
  }
};

TEST(OpenInputs, ColumnsAreFoundByNameWhateverTheirOrder) {
  Files files;
  EXPECT_THAT(files.inputs("y,id,x\n20,7,2\n40,8,4\n"), ElementsAre(0, 0, 2, 2));
}

TEST(OpenInputs, WithoutAHeaderThereAreAsManyAsWereLearnedOrAsInTheFile) {
  Files files;
  EXPECT_THAT(files.inputs("3,30\n"), ElementsAre(1, 1));
  EXPECT_THAT(files.inputs("3,9,30\n"), ElementsAre(1, 1)) << "a label is not looked at";
  EXPECT_THAT(files.refusal("3\n"), HasSubstr("expected 2 columns"));
  EXPECT_THAT(files.refusal("1,2,3,4\n"), HasSubstr("found 4"));
}

TEST(OpenInputs, MissingColumnsAreNamed) {
  Files files;
  EXPECT_THAT(files.refusal("x,z\n1,2\n"), HasSubstr("found none called 'y': there are x, z"));
}

TEST(OpenInputs, LabelsAreZeroAndOfTheKindThatWasLearned) {
  Files files;
  const auto set =
      open_inputs(files.options, files.data, files.folder.write("inputs.csv", "3,30\n1,10\n"));
  EXPECT_EQ(set->classes(), 2);
  Batch batch;
  set->read(std::vector<std::int64_t>{1, 0}, batch);
  EXPECT_THAT(batch.labels, ElementsAre(0, 0));
  EXPECT_EQ(batch.floats()[0], -1);
}

// What the command's test does for whole runs: the test part, given as a file, is the test part.
void expect_same_inputs(const DataOptions& options, const DataSplits& data,
                        const std::filesystem::path& file) {
  const auto set = open_inputs(options, data, file);
  const Batch given = read_all(*set);
  const Batch expected = read_all(*data.test);
  ASSERT_EQ(set->size(), data.test->size());
  EXPECT_EQ(set->classes(), data.train->classes());
  EXPECT_EQ(set->facts().answer_names, data.train->facts().answer_names);
  EXPECT_THAT(given.floats(), ElementsAreArray(expected.floats()));
  EXPECT_THAT(given.labels, Each(0));
}

struct Arrays {
  TempFolder folder;
  DataOptions options;
  DataSplits data;

  explicit Arrays(const std::string& type) {
    options.name = DataName::npy;
    options.path = array("x.npy", type, "(6, 2, 2)").string();
    options.test_path = array("t.npy", type, "(3, 2, 2)").string();
    options.labels_path = folder.write("y.npy", npy_header("|u1", "(6,)") + counting(6)).string();
    options.test_labels_path =
        folder.write("z.npy", npy_header("|u1", "(3,)") + counting(3)).string();
    data = open_data(options, 0);
  }
  std::filesystem::path array(const char* name, const std::string& type, const char* shape) const {
    constexpr int kMost = 24;  // elements; a shape of fewer takes the first of them
    const int bytes = type[2] - '0';
    std::string values;
    for (int i = 0; i < kMost; ++i)
      values += little_endian(static_cast<std::uint64_t>(i * i % 251), bytes);
    const int size = bytes * (shape[1] == '6' ? kMost : kMost / 2);
    return folder.write(name,
                        npy_header(type, shape) + values.substr(0, static_cast<std::size_t>(size)));
  }
};

TEST(OpenInputs, ArraysWithoutLabelsAreScaledAsThoseOfTheTraining) {
  for (const char* type : {"|u1", "<i2", "<i8"}) {
    const Arrays arrays(type);
    expect_same_inputs(arrays.options, arrays.data, arrays.options.test_path);
  }
}

TEST(OpenInputs, ArraysOfAnotherShapeOrTypeAreRefused) {
  Arrays arrays("|u1");
  const auto refused = [&](const std::filesystem::path& file) {
    return refusal([&] { open_inputs(arrays.options, arrays.data, file); });
  };
  EXPECT_THAT(refused(arrays.array("a.npy", "|u1", "(3, 4)")),
              HasSubstr("a.npy: expected samples of 1x2x2 as the model takes, found 4"));
  EXPECT_THAT(refused(arrays.array("b.npy", "<i4", "(3, 2, 2)")),
              HasSubstr("b.npy: expected bytes (uint8) as in the training files, found"));
  EXPECT_THAT(refused(arrays.folder.write("c.npy", "no array")), StartsWith("Corrupt: "));
  EXPECT_THAT(refused(arrays.folder / "gone.npy"), StartsWith("InvalidInput: "));
  arrays.options.normalize = Normalize::none;
  arrays.data = open_data(arrays.options, 0);
  EXPECT_EQ(refused(arrays.folder / "b.npy"), "") << "as they are, numbers mean the same";
}

struct Pictures {
  TempFolder folder;
  DataOptions options;
  DataSplits data;

  Pictures() {
    for (const char* name : {"train/cat/1.png", "train/dog/2.png", "test/cat/b.png",
                             "test/cat/a.png", "test/dog/1.png"}) {
      add(std::string("pics/") + name);
    }
    options.name = DataName::image_folder;
    options.path = (folder / "pics").string();
    options.resize = 6;
    options.crop = 5;
    data = open_data(options, 0);
  }
  void add(const std::string& name) {
    std::filesystem::create_directories((folder / name).parent_path());
    const int size = 7 + static_cast<int>(pictures_++);
    folder.write(name, png_file(gradient(3, size, size + 3, 30 * size)));
  }
  std::string refused(const std::filesystem::path& path) const {
    return refusal([&] { (void)read_all(*open_inputs(options, data, path)); });
  }

 private:
  int pictures_ = 0;
};

TEST(OpenInputs, PicturesComeAloneOrFromFoldersInTheOrderOfTheirNames) {
  const Pictures pictures;
  expect_same_inputs(pictures.options, pictures.data, pictures.folder / "pics/test");
  const Batch all = read_all(*pictures.data.test);
  const auto inputs = [&](const char* path) {
    const Batch batch =
        read_all(*open_inputs(pictures.options, pictures.data, pictures.folder / path));
    return std::vector<float>(batch.floats().begin(), batch.floats().end());
  };
  constexpr std::ptrdiff_t kSample = 75;  // 3 x 5 x 5
  EXPECT_THAT(inputs("pics/test/cat"), ElementsAreArray(all.floats().first(2 * kSample)));
  EXPECT_THAT(inputs("pics/test/cat/b.png"),
              ElementsAreArray(all.floats().subspan(kSample, kSample)));
}

TEST(OpenInputs, WhatIsNoPictureIsRefused) {
  Pictures pictures;
  EXPECT_THAT(pictures.refused(pictures.folder / "gone"), HasSubstr("there is no such file"));
  std::filesystem::create_directory(pictures.folder / "none");
  EXPECT_THAT(pictures.refused(pictures.folder / "none"),
              HasSubstr("expected the pictures of inputs, found none"));
  pictures.folder.write("none/a.txt", "words");
  EXPECT_THAT(pictures.refused(pictures.folder / "none"), HasSubstr("found another kind of file"));
  EXPECT_THAT(pictures.refused(pictures.folder / "none/a.txt"),
              HasSubstr("a.txt: byte 0: expected a JPEG"));
  pictures.add("pics/test/c.png");
  EXPECT_THAT(pictures.refused(pictures.folder / "pics/test"), HasSubstr("found both"));
}

TEST(OpenInputs, RecordsOfCifarNeedNoTrueLabels) {
  TempFolder folder;
  const auto records = [](int count, char label) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += label + counting(3072).replace(0, 1, 1, static_cast<char>(i));
    return text;
  };
  folder.write("data_batch_1.bin", records(4, 1));
  folder.write("test_batch.bin", records(3, 2));
  DataOptions options;
  options.name = DataName::cifar10;
  options.path = folder.path().string();
  const DataSplits data = open_data(options, 0);
  expect_same_inputs(options, data, folder.write("inputs.bin", records(3, 0)));
  EXPECT_THAT(refusal([&] { open_inputs(options, data, folder.write("cut.bin", "abc")); }),
              HasSubstr("expected a whole number of CIFAR-10 records"));
}

TEST(OpenInputs, MadeUpDataHasNoFiles) {
  DataOptions options;
  options.name = DataName::random;
  const DataSplits data = open_data(options, 0);
  EXPECT_THROW(open_inputs(options, data, "x.csv"), InvalidInput);
}

}  // namespace
}  // namespace shoal

#include "shoal/data/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/data/open_data.h"
#include "shoal/data/test_files.h"
#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// A folder of pictures that tests fill.
class ImageFolderTest : public testing::Test {
 protected:
  void add(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    folder_.write(name, content);
  }
  void add(const std::string& name, int height = 8, int width = 8, int base = 20) {
    add(name, png_file(gradient(3, height, width, base)));
  }
  DataOptions options() const {
    DataOptions options;
    options.name = DataName::image_folder;
    options.path = folder_.path().string();
    options.normalize = Normalize::none;
    options.test = 0;
    return options;
  }
  std::string refused() {
    return refusal([&] { list_image_folder(folder_.path()); });
  }
  TempFolder folder_;
};

TEST_F(ImageFolderTest, NumbersClassesAndFilesByTheirBytes) {
  for (const char* name : {"b/2.png", "b/10.png", "b/.hidden", "a/x.JPEG", "Z/y.jpg", "b/1.PNG"}) {
    add(name);
  }
  add("readme.txt", "beside the classes, so it is none");
  const PictureFiles files(folder_.path());
  EXPECT_THAT(files.classes(), ElementsAre("Z", "a", "b"));
  ASSERT_EQ(files.size(), 5);
  std::vector<std::string> names;
  std::vector<std::int64_t> labels;
  for (int row = 0; row < 5; ++row) {
    names.push_back(std::filesystem::relative(files.path(row), folder_.path()).string());
    labels.push_back(files.label(row));
  }
  EXPECT_THAT(names, ElementsAre("Z/y.jpg", "a/x.JPEG", "b/1.PNG", "b/10.png", "b/2.png"));
  EXPECT_THAT(labels, ElementsAre(0, 1, 2, 2, 2));
}

TEST_F(ImageFolderTest, ReadsPicturesChannelsFirst) {
  add("cat/a.png", 8, 6, 10);
  add("dog/b.png", 8, 6, 30);
  const DataSplits splits = open_data(options(), 1);
  EXPECT_EQ(splits.summary(),
            "image-folder: 2 training, 0 validation and 0 test samples of 3x8x6, 2 classes");
  EXPECT_THAT(splits.train->facts().answer_names, ElementsAre("cat", "dog"));
  Batch batch;
  splits.train->read(std::vector<std::int64_t>{1, 0}, batch);
  EXPECT_THAT(batch.labels, ElementsAre(1, 0));
  EXPECT_THAT(batch.sample_ids, ElementsAre(1, 0));
  const TestPicture dog = gradient(3, 8, 6, 30);
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 6; ++x) {
        ASSERT_EQ(batch.floats()[static_cast<std::size_t>((c * 8 + y) * 6 + x)], dog.at(y, x, c));
      }
    }
  }
}

TEST_F(ImageFolderTest, TakesTestPicturesFromTheirFolder) {
  for (const char* name :
       {"train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"}) {
    add(name);
  }
  const DataSplits splits = open_data(options(), 1);
  EXPECT_EQ(splits.train->size(), 3);
  EXPECT_EQ(splits.test->size(), 2);
  EXPECT_THAT(read_all(*splits.test).labels, ElementsAre(0, 1));
}

TEST_F(ImageFolderTest, CutsATestPartWhereThereIsNoTestFolder) {
  for (int i = 0; i < 10; ++i) add(fmt::format("train/{}.png", i), 8, 8, i);
  for (int i = 0; i < 10; ++i) add(fmt::format("cat/{}.png", i), 8, 8, i);
  DataOptions cut = options();
  cut.test = 0.25;
  cut.validation = 3;
  const DataSplits splits = open_data(cut, 1);
  EXPECT_EQ(splits.summary(),
            "image-folder: 12 training, 3 validation and 5 test samples of 3x8x8, 2 classes");
  EXPECT_THAT(splits.train->facts().answer_names, ElementsAre("cat", "train"));
}

TEST_F(ImageFolderTest, MakesSamplesOfOneSizeOfPicturesOfAny) {
  add("a/1.png", 20, 40);
  add("a/2.png", 33, 16);
  add("a/3.png", 16, 16);
  DataOptions fit = options();
  fit.resize = 16;
  fit.crop = 12;
  const DataSplits splits = open_data(fit, 1);
  EXPECT_THAT(splits.train->sample_shape(), ElementsAre(3, 12, 12));
  const Batch batch = read_all(*splits.train);
  // The third is not resized: its middle, as stored.
  const TestPicture third = gradient(3, 16, 16);
  const float* const sample = batch.floats().data() + std::ptrdiff_t{2} * 3 * 144;
  EXPECT_EQ(sample[0], third.at(2, 2, 0));
  EXPECT_EQ(sample[143], third.at(13, 13, 0));
  // A linear picture stays about linear: the first shrinks by 20 / 16, and loses 2 rows and 10
  // columns.
  const double scale = 20.0 / 16;
  const double y = (2 + 0.5) * scale - 0.5;
  const double x = (10 + 0.5) * scale - 0.5;
  EXPECT_NEAR(batch.floats()[0], 20 + 3 * y + 2 * x, 0.3);
}

TEST_F(ImageFolderTest, MeasuresTheTrainingPicturesOnly) {
  for (int i = 0; i < 6; ++i) add(fmt::format("a/{}.png", i), 8, 8, 10 * i);
  DataOptions standard = options();
  standard.normalize = Normalize::standard;
  standard.test = 2;
  const DataSplits splits = open_data(standard, 1);
  const Batch batch = read_all(*splits.train);
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t p = 0; p < 64; ++p) {
        const double value = double{batch.floats()[(i * 3 + c) * 64 + p]};
        sum += value;
        squares += value * value;
      }
    }
    EXPECT_NEAR(sum / 256, 0, 1e-5);
    EXPECT_NEAR(squares / 256, 1, 1e-5);
  }
}

TEST_F(ImageFolderTest, MeansThatAreGivenNeedNoPicture) {
  add("a/1.png");
  add("a/2.png", "not a picture");
  DataOptions given = options();
  given.normalize = Normalize::standard;
  given.mean = {0.5};
  given.deviation = {0.25};
  const DataSplits splits = open_data(given, 1);
  Batch batch;
  splits.train->read(std::vector<std::int64_t>{0}, batch);
  EXPECT_NEAR(batch.floats()[0], (20.0 / 255 - 0.5) / 0.25, 1e-6);
  given.mean = given.deviation = {1, 1};
  EXPECT_THAT(refusal([&] { open_data(given, 1); }), HasSubstr("takes 1, or 3"));
}

TEST_F(ImageFolderTest, NamesThePictureThatDoesNotDecode) {
  add("a/1.png");
  add("a/2.png", "GIF89a");
  const DataSplits splits = open_data(options(), 1);
  EXPECT_THAT(refusal([&] { read_all(*splits.train); }),
              AllOf(StartsWith("Corrupt: "), HasSubstr("/a/2.png: byte 0: expected a JPEG")));
  DataOptions standard = options();
  standard.normalize = Normalize::standard;
  EXPECT_THAT(refusal([&] { open_data(standard, 1); }), HasSubstr("/a/2.png: byte 0"));
}

TEST_F(ImageFolderTest, NamesThePictureWhoseSizeDoesNotFit) {
  add("a/1.png", 8, 8);
  add("a/2.png", 8, 9);
  EXPECT_THAT(refusal([&] { read_all(*open_data(options(), 1).train); }),
              HasSubstr("/a/2.png: expected 8 x 8 pixels as of the first picture, found 9 x 8: set "
                        "data.crop"));
  DataOptions large = options();
  large.crop = 9;
  EXPECT_THAT(refusal([&] { read_all(*open_data(large, 1).train); }),
              HasSubstr("/a/1.png: expected a picture of at least 9 pixels on each side, which is "
                        "data.crop, found 8 x 8: set data.resize"));
}

TEST_F(ImageFolderTest, RefusesFoldersThatAreNone) {
  EXPECT_THAT(refusal([&] { list_image_folder(folder_ / "absent"); }),
              AllOf(StartsWith("InvalidInput: cannot read the folder"), HasSubstr("No such file")));
  EXPECT_THAT(refused(), HasSubstr("expected a folder for each class, found none"));
  add("1.png");
  EXPECT_THAT(refused(), HasSubstr("expected a folder for each class, found none"));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(refused(), HasSubstr("/empty: expected the pictures of a class, found none"));
  add("empty/notes.txt", "");
  EXPECT_THAT(refused(), HasSubstr("/empty/notes.txt: expected files .jpg, .jpeg or .png in the "
                                   "folder of a class, found another kind of file"));
  std::filesystem::remove(folder_ / "empty/notes.txt");
  std::filesystem::create_directory(folder_ / "empty/deep.png");
  EXPECT_THAT(refused(), HasSubstr("found a folder"));
}

TEST_F(ImageFolderTest, RefusesTestClassesThatDiffer) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "test/a/1.png"}) add(name);
  EXPECT_THAT(refused(),
              AllOf(HasSubstr("/test: expected the classes of"), HasSubstr("'b' is missing")));
  add("test/c/1.png");
  EXPECT_THAT(refused(), HasSubstr("found 'c', which is not there"));
  add("val/a/1.png");
  EXPECT_THAT(refused(), HasSubstr("expected the folders train and test alone, found val"));
}

TEST(PictureFit, RoundsAsTorchvisionDoes) {
  const PictureFit fit{.resize = 256, .crop = 224};
  const auto cut = fit.cut({.height = 375, .width = 500});
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(cut->resized, (PictureSize{.height = 256, .width = 341}));  // 341.33
  EXPECT_EQ(cut->top, 16);
  EXPECT_EQ(cut->left, 58);  // 58.5, to the even one
  EXPECT_FALSE(PictureFit{.crop = 9}.cut({.height = 8, .width = 20}).has_value());
}

}  // namespace
}  // namespace shoal

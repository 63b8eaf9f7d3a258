#include "shoal/data/augmented_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "shoal/data/array_dataset.h"
#include "shoal/data/loader.h"
#include "shoal/data/open_data.h"
#include "shoal/data/random_dataset.h"
#include "shoal/data/test_files.h"
#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const AugmentOptions kEverything{.crop = RandomCrop::padded,
                                 .padding = 2,
                                 .flip = 0.5,
                                 .brightness = 0.3,
                                 .contrast = 0.3,
                                 .saturation = 0.3,
                                 .hue = 0.1,
                                 .mixup = 0.4};

std::unique_ptr<Dataset> pictures(std::int64_t count, std::vector<std::int64_t> shape,
                                  const Scaling& scaling = {}) {
  Samples samples;
  samples.count = count;
  samples.shape = std::move(shape);
  samples.values.resize(static_cast<std::size_t>(count * samples.elements()));
  auto values = samples.values.as<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint8_t>((i * 37 + i / 7) % 251);
  }
  for (std::int64_t i = 0; i < count; ++i) samples.labels.push_back(i % 4);
  samples.answers.classes = 4;
  return make_dataset("pictures", std::move(samples), scaling);
}

// Content of all batches of steps 5..14, by (step, sample).
using Content = std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>>;
Content all_samples(const Dataset& data, int workers, int threads) {
  const Sampler sampler(data.size(), {.batch = 10, .seed = 3});
  const auto elements = static_cast<std::size_t>(data.facts().sample_elements());
  Content content;
  for (int worker = 0; worker < workers; ++worker) {
    Loader loader(data, training_plan(sampler, workers, worker), {5, 15}, {.threads = threads});
    while (const BatchPtr batch = loader.next(Deadline::after(std::chrono::seconds(60)))) {
      for (std::size_t i = 0; i < batch->sample_ids.size(); ++i) {
        const auto values = batch->floats().subspan(i * elements, elements);
        std::vector<float> all(values.begin(), values.end());
        all.push_back(static_cast<float>(batch->labels[i]));
        if (!batch->shares.empty()) {
          all.push_back(batch->shares[i]);
          all.push_back(static_cast<float>(batch->other_labels[i]));
        }
        content[{batch->index, batch->sample_ids[i]}] = std::move(all);
      }
    }
  }
  return content;
}

TEST(AugmentedDataset, GivesTheSameBitsForAnyNumberOfWorkersAndThreads) {
  const auto whole = pictures(43, {3, 8, 8}, {.unit = 1.0 / 255, .normalization = {}});
  for (const RandomCrop crop : {RandomCrop::padded, RandomCrop::resized}) {
    AugmentOptions options = kEverything;
    options.crop = crop;
    const AugmentedDataset data(*whole, options, 11);
    const Content expected = all_samples(data, 1, 0);
    EXPECT_THAT(expected, SizeIs(10 * 10 - 2 * 7));  // the last batch of an epoch has 3
    EXPECT_EQ(all_samples(data, 3, 0), expected);
    EXPECT_EQ(all_samples(data, 1, 4), expected);
    EXPECT_NE(all_samples(AugmentedDataset(*whole, options, 12), 1, 0), expected);
  }
}

TEST(AugmentedDataset, TellsPicturesOfAFolderApartLikePicturesInMemory) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "a");
  std::filesystem::create_directories(folder / "b");
  std::string bytes;
  for (int i = 0; i < 6; ++i) {
    const TestPicture picture = gradient(3, 8, 8, 15 * i);
    folder.write(fmt::format("{}/{}.png", i < 3 ? "a" : "b", i), png_file(picture));
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < 8; ++x) bytes += static_cast<char>(picture.at(y, x, c));
      }
    }
  }
  DataOptions in_memory;
  in_memory.name = DataName::npy;
  in_memory.path = folder.write("x.npy", npy_header("|u1", "(6, 3, 8, 8)") + bytes).string();
  in_memory.labels_path =
      folder.write("y.npy", npy_header("|u1", "(6,)") + std::string("\0\0\0\1\1\1", 6)).string();
  DataOptions in_folder;
  in_folder.name = DataName::image_folder;
  in_folder.path = folder.path().string();
  in_memory.test = in_folder.test = 1;
  in_memory.mean = in_folder.mean = {0.4, 0.5, 0.6};
  in_memory.deviation = in_folder.deviation = {0.2, 0.3, 0.4};
  for (const RandomCrop crop : {RandomCrop::none, RandomCrop::padded, RandomCrop::resized}) {
    AugmentOptions options = kEverything;
    options.crop = crop;
    const DataSplits expected = open_data(in_memory, 1);
    const DataSplits found = open_data(in_folder, 1);
    EXPECT_EQ(all_samples(AugmentedDataset(*found.train, options, 2), 1, 0),
              all_samples(AugmentedDataset(*expected.train, options, 2), 1, 0));
    EXPECT_EQ(all_samples(*found.train, 1, 0), all_samples(*expected.train, 1, 0));
  }
}

// Each window by itself: what it shows of the picture, and black around it.
TEST(AugmentedDataset, CutsAndMirrorsAsDrawn) {
  const auto whole = pictures(20, {2, 5, 6});
  const AugmentOptions options{.crop = RandomCrop::padded, .padding = 3, .flip = 0.5};
  const AugmentedDataset data(*whole, options, 11);
  const Augmentation drawn(options, 11);
  const PictureSize size{.height = 5, .width = 6};
  const Batch plain = read_all(*whole);
  Batch batch;
  batch.index = 8;
  std::vector<std::int64_t> ids(20);
  std::iota(ids.begin(), ids.end(), 0);
  data.read(ids, batch);
  for (int i = 0; i < 20; ++i) {
    const PictureCut cut = drawn.cut({.step = 8, .row = i}, size,
                                     {.box = {.height = 5, .width = 6}, .resized = size}, size);
    for (int c = 0; c < 2; ++c) {
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 6; ++x) {
          const int row = y + cut.top;
          const int column = (cut.mirrored ? 5 - x : x) + cut.left;
          const bool inside = row >= 0 && row < 5 && column >= 0 && column < 6;
          const auto at = [&](int r, int k) {
            const int place = ((i * 2 + c) * 5 + r) * 6 + k;
            return static_cast<std::size_t>(place);
          };
          ASSERT_EQ(batch.floats()[at(y, x)], inside ? plain.floats()[at(row, column)] : 0.0f);
        }
      }
    }
  }
}

TEST(AugmentedDataset, NormalisesChangedColours) {
  const Scaling scaling{.unit = 1.0 / 255,
                        .normalization = {.mean = {0.1, 0.2, 0.3}, .deviation = {0.5, 0.6, 0.7}}};
  const auto unit = pictures(4, {3, 4, 4}, {.unit = 1.0 / 255, .normalization = {}});
  const auto normalised = pictures(4, {3, 4, 4}, scaling);
  const AugmentOptions options{.brightness = 0.5, .contrast = 0.5, .saturation = 0.5, .hue = 0.2};
  const AugmentedDataset data(*normalised, options, 11);
  const Augmentation drawn(options, 11);
  Batch batch;
  batch.index = 2;
  data.read(std::vector<std::int64_t>{0, 1, 2, 3}, batch);
  const Batch plain = read_all(*unit);
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<float> expected(plain.floats().begin() + static_cast<std::ptrdiff_t>(48 * i),
                                plain.floats().begin() + static_cast<std::ptrdiff_t>(48 * (i + 1)));
    change_colors(drawn.colors({.step = 2, .row = static_cast<std::int64_t>(i)}), 3, expected);
    for (std::size_t j = 0; j < 48; ++j) {
      const double value = (double{expected[j]} - scaling.normalization.mean[j / 16]) /
                           scaling.normalization.deviation[j / 16];
      ASSERT_NEAR(batch.floats()[48 * i + j], value, 1e-6);
    }
  }
}

TEST(AugmentedDataset, MixesWithOtherTrainingSamples) {
  const std::shared_ptr<const Dataset> whole = pictures(50, {1, 4, 4});
  const Subset train("training part", whole, {3, 10, 17, 24, 31, 38, 45});
  const AugmentedDataset data(train, {.mixup = 0.5}, 11);
  const Augmentation drawn({.mixup = 0.5}, 11);
  Batch batch;
  batch.index = 9;
  data.read(std::vector<std::int64_t>{6, 0, 2}, batch);
  EXPECT_THAT(batch.sample_ids, ElementsAre(45, 3, 17));
  EXPECT_THAT(batch.shares, SizeIs(3));
  const Batch plain = read_all(train);
  const std::size_t own[] = {6, 0, 2};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto mixture = drawn.mixture({.step = 9, .row = batch.sample_ids[i]}, 7);
    EXPECT_FLOAT_EQ(batch.shares[i], static_cast<float>(mixture.share));
    const auto partner = static_cast<std::size_t>(mixture.partner);
    EXPECT_EQ(batch.labels[i], plain.labels[own[i]]);
    EXPECT_EQ(batch.other_labels[i], plain.labels[partner]);
    for (std::size_t j = 0; j < 16; ++j) {
      EXPECT_NEAR(batch.floats()[16 * i + j],
                  mixture.share * double{plain.floats()[16 * own[i] + j]} +
                      (1 - mixture.share) * double{plain.floats()[16 * partner + j]},
                  1e-4);
    }
  }
}

TEST(AugmentedDataset, MixesNumbersToPredict) {
  const RandomDataset numbers({.seed = 1, .size = 9, .sample_shape = {3}, .classes = 0});
  const AugmentedDataset data(numbers, {.mixup = 0.5}, 11);
  const Batch mixed = read_all(data);
  const Batch plain = read_all(numbers);
  EXPECT_THAT(mixed.other_labels, IsEmpty());
  for (std::size_t i = 0; i < 9; ++i) {
    const auto mixture =
        Augmentation({.mixup = 0.5}, 11).mixture({.row = static_cast<std::int64_t>(i)}, 9);
    EXPECT_NEAR(
        mixed.targets[i],
        mixture.share * double{plain.targets[i]} +
            (1 - mixture.share) * double{plain.targets[static_cast<std::size_t>(mixture.partner)]},
        1e-5);
  }
}

TEST(AugmentedDataset, LeavesNothingInABatchThatIsUsedAgain) {
  const auto whole = pictures(5, {1, 4, 4});
  Batch batch = read_all(AugmentedDataset(*whole, {.mixup = 1}, 11));
  whole->read(std::vector<std::int64_t>{1}, batch);
  EXPECT_THAT(batch.shares, IsEmpty());
  EXPECT_THAT(batch.other_labels, IsEmpty());
}

TEST(AugmentedDataset, RefusesWhatHasNoPictures) {
  const RandomDataset numbers(
      {.name = "numbers", .size = 9, .sample_shape = {1, 4, 4}, .classes = 2});
  EXPECT_THAT(
      refusal([&] { require_augmentable(numbers, {.flip = 0.5}); }),
      HasSubstr("InvalidInput: numbers has no pictures of bytes: of [augment], only mixup"));
  EXPECT_EQ(refusal([&] { require_augmentable(numbers, {.mixup = 0.5}); }), "");
  EXPECT_EQ(refusal([&] { require_augmentable(numbers, {}); }), "");
  const auto rows = pictures(4, {6});
  EXPECT_THAT(refusal([&] { AugmentedDataset(*rows, {.flip = 0.5}, 1); }),
              HasSubstr("no pictures"));
  const auto two_channels = pictures(4, {2, 4, 4});
  EXPECT_THAT(refusal([&] { AugmentedDataset(*two_channels, {.hue = 0.1}, 1); }),
              HasSubstr("pictures has samples of 2x4x4: [augment] brightness"));
  EXPECT_EQ(refusal([&] { AugmentedDataset(*two_channels, {.flip = 0.1}, 1); }), "");
}

}  // namespace
}  // namespace shoal

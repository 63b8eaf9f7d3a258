#include "shoal/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "shoal/core/check.h"
#include "shoal/data/array_dataset.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::IsEmpty;

// `count` samples of `shape`, bytes 0, 1, 2, ..., label = number % 3.
Samples counted_bytes(std::int64_t count, std::vector<std::int64_t> shape) {
  Samples samples;
  samples.count = count;
  samples.shape = std::move(shape);
  samples.values.resize(static_cast<std::size_t>(count * samples.elements()));
  auto bytes = samples.values.as<std::uint8_t>();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  samples.answers.classes = 3;
  for (std::int64_t i = 0; i < count; ++i) samples.labels.push_back(i % 3);
  return samples;
}

Samples floats(std::vector<std::int64_t> shape, std::vector<float> values,
               std::vector<float> targets) {
  Samples samples;
  samples.count = static_cast<std::int64_t>(targets.size());
  samples.shape = std::move(shape);
  samples.type = ElementType::float32;
  samples.values.resize(values.size() * sizeof(float));
  std::memcpy(samples.values.data(), values.data(), values.size() * sizeof(float));
  samples.targets = std::move(targets);
  return samples;
}

std::vector<float> inputs(const Batch& batch) {
  return {batch.floats().begin(), batch.floats().end()};
}

TEST(AlignedBytes, StartsOnACacheLineAndIsKeptWhenItIsLargeEnough) {
  AlignedBytes bytes(100);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
  const std::byte* const before = bytes.data();
  bytes.resize(10);
  bytes.resize(100);
  EXPECT_EQ(bytes.data(), before);
  EXPECT_EQ(bytes.size(), 100u);
  EXPECT_EQ(bytes.as<float>().size(), 25u);
  EXPECT_TRUE(AlignedBytes().as<double>().empty());
}

TEST(AlignedBytes, StartsOnALargePageWhereSomeFit) {
  constexpr std::size_t kLargePage = 2 << 20;
  AlignedBytes bytes(2 * kLargePage + 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % kLargePage, 0u);
  bytes.bytes().back() = std::byte{7};
  bytes.resize(100);
  bytes.resize(9 * kLargePage);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % kLargePage, 0u);
  const AlignedBytes moved = std::move(bytes);
  EXPECT_EQ(moved.size(), 9 * kLargePage);
}

TEST(ByteDataset, ScalesEachByteExactly) {
  const auto data =
      make_dataset("x", counted_bytes(1, {256}),
                   {.unit = 1.0 / 255, .normalization = {.mean = {0.3}, .deviation = {0.7}}});
  Batch batch;
  data->read(std::vector<std::int64_t>{0}, batch);
  for (int value = 0; value < 256; ++value) {
    EXPECT_EQ(batch.floats()[static_cast<std::size_t>(value)],
              static_cast<float>((value * (1.0 / 255) - 0.3) / 0.7));
  }
}

TEST(ByteDataset, ReadsSamplesInTheOrderAskedForWithTheirLabelsAndIds) {
  const auto data = make_dataset("x", counted_bytes(5, {1, 1, 2}), {});
  EXPECT_EQ(data->size(), 5);
  EXPECT_EQ(data->classes(), 3);
  EXPECT_EQ(data->name(), "x");
  Batch batch;
  batch.index = 17;
  data->read(std::vector<std::int64_t>{4, 0, 4}, batch);
  EXPECT_EQ(batch.index, 17);
  EXPECT_EQ(batch.samples, 3);
  EXPECT_THAT(batch.input_shape, ElementsAre(1, 1, 2));
  EXPECT_EQ(batch.input_type, ElementType::float32);
  EXPECT_THAT(inputs(batch), ElementsAre(8, 9, 0, 1, 8, 9));
  EXPECT_THAT(batch.labels, ElementsAre(1, 0, 1));
  EXPECT_THAT(batch.targets, IsEmpty());
  EXPECT_THAT(batch.sample_ids, ElementsAre(4, 0, 4));
}

TEST(ByteDataset, NormalisesEachChannelByItsOwnPair) {
  const auto data =
      make_dataset("x", counted_bytes(2, {2, 1, 2}),
                   {.unit = 1, .normalization = {.mean = {0, 2}, .deviation = {1, 0.5}}});
  Batch batch;
  data->read(std::vector<std::int64_t>{0, 1}, batch);
  EXPECT_THAT(inputs(batch), ElementsAre(0, 1, 0, 2, 4, 5, 8, 10));
}

TEST(Dataset, ReadsNothingIntoAnEmptyBatch) {
  const auto data = make_dataset("x", counted_bytes(2, {3}), {});
  Batch batch;
  data->read(std::vector<std::int64_t>{0, 1}, batch);
  data->read({}, batch);
  EXPECT_EQ(batch.samples, 0);
  EXPECT_THAT(inputs(batch), IsEmpty());
  EXPECT_THAT(batch.labels, IsEmpty());
  EXPECT_THAT(batch.sample_ids, IsEmpty());
  EXPECT_THAT(batch.input_shape, ElementsAre(3));
}

TEST(Dataset, RefusesSamplesThatDoNotExist) {
  const auto data = make_dataset("x", counted_bytes(2, {3}), {});
  Batch batch;
  EXPECT_THROW(data->read(std::vector<std::int64_t>{2}, batch), BrokenInvariant);
  EXPECT_THROW(data->read(std::vector<std::int64_t>{-1}, batch), BrokenInvariant);
}

TEST(Dataset, UsesTheMemoryOfABatchAgain) {
  const auto data = make_dataset("x", counted_bytes(4, {3}), {});
  Batch batch;
  data->read(std::vector<std::int64_t>{0, 1, 2, 3}, batch);
  const std::byte* const before = batch.inputs.data();
  data->read(std::vector<std::int64_t>{0}, batch);
  data->read(std::vector<std::int64_t>{3, 2, 1, 0}, batch);
  EXPECT_EQ(batch.inputs.data(), before);
}

TEST(FloatDataset, NormalisesColumnsAndReturnsTargets) {
  const auto data =
      make_dataset("x", floats({2}, {1, 10, 3, 30}, {0.5f, -0.5f}),
                   {.unit = 1, .normalization = {.mean = {2, 20}, .deviation = {1, 10}}});
  EXPECT_EQ(data->classes(), 0);
  Batch batch;
  data->read(std::vector<std::int64_t>{1, 0}, batch);
  EXPECT_THAT(inputs(batch), ElementsAre(1, 1, -1, -1));
  EXPECT_THAT(batch.targets, ElementsAre(-0.5f, 0.5f));
  EXPECT_THAT(batch.labels, IsEmpty());
}

TEST(Subset, ShowsSomeRowsUnderNewNumbersAndKeepsTheirIds) {
  const std::shared_ptr<const Dataset> whole = make_dataset("x", counted_bytes(6, {1}), {});
  const Subset odd("odd", whole, {1, 3, 5});
  EXPECT_EQ(odd.size(), 3);
  EXPECT_EQ(odd.name(), "odd");
  Batch batch;
  odd.read(std::vector<std::int64_t>{2, 0}, batch);
  EXPECT_THAT(inputs(batch), ElementsAre(5, 1));
  EXPECT_THAT(batch.sample_ids, ElementsAre(5, 1));
  EXPECT_THROW(odd.read(std::vector<std::int64_t>{3}, batch), BrokenInvariant);
  EXPECT_THROW(Subset("bad", whole, {6}), BrokenInvariant);
  EXPECT_EQ(Subset("none", whole, {}).size(), 0);
}

TEST(Normalization, MeasuresBytesPerChannelOverTheRowsGiven) {
  // Channel 0 holds 0 255, channel 1 holds 51 51, in row 0; row 1 must not count.
  Samples samples = counted_bytes(2, {2, 1, 2});
  const std::uint8_t values[] = {0, 255, 51, 51, 9, 9, 9, 9};
  std::memcpy(samples.values.data(), values, sizeof(values));
  const Normalization found = measure(samples, std::vector<std::int64_t>{0});
  EXPECT_THAT(found.mean, ElementsAre(0.5, testing::DoubleEq(0.2)));
  EXPECT_THAT(found.deviation, ElementsAre(0.5, 1.0));  // a constant channel is not divided by 0
}

TEST(Normalization, MeasuresColumnsWithAFarMean) {
  const Samples samples = floats({2}, {1e6f, 1, 1e6f + 2, 5}, {0, 0});
  const Normalization found = measure(samples, std::vector<std::int64_t>{0, 1});
  EXPECT_THAT(found.mean, ElementsAre(1e6 + 1, 3));
  EXPECT_THAT(found.deviation, ElementsAre(1, 2));
}

}  // namespace
}  // namespace shoal

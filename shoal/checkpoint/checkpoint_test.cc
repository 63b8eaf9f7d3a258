// Checkpoints written by several ranks, and every kind of damage to them.
#include "shoal/checkpoint/checkpoint.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

#include "shoal/checkpoint/index.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Deadline soon() { return Deadline::after(std::chrono::seconds(30)); }

at::Tensor counting(const std::vector<std::int64_t>& shape, at::ScalarType type, double first) {
  return (at::arange(at::empty(shape).numel(), at::kDouble) + first).reshape(shape).to(type);
}

// What rank `rank` of a model that `size` ranks hold in common keeps: the same values on all.
std::vector<PersistentTensor> tensors_of(int size, double first, bool zero = false) {
  std::vector<int> all;
  for (int rank = 0; rank < size; ++rank) all.push_back(rank);
  std::vector<PersistentTensor> tensors{
      {"0.conv.weight", "parameter", counting({4, 3, 3}, at::kFloat, first), all},
      {"0.conv.weight#momentum", "optimizer", counting({4, 3, 3}, at::kFloat, -first), all},
      {"1.norm.count", "buffer", counting({}, at::kLong, first), all},
      {"1.norm.mean", "buffer", counting({5}, at::kDouble, first + 0.5), all},
      {"2.empty", "parameter", counting({0, 3}, at::kFloat, 0), all},
      {"3.linear.weight", "parameter", counting({10, 7}, at::kFloat, first).t(), all},
  };
  if (zero) {
    for (auto& item : tensors) item.tensor = at::zeros_like(item.tensor);
  }
  return tensors;
}

bool is_index_missing(const std::filesystem::path& folder) {
  return !std::filesystem::exists(folder / "index.json");
}

void alter(const std::filesystem::path& file, std::size_t offset) {
  std::string bytes = read_file(file);
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 0x10);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

class CheckpointTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return root_ / "runs"; }
  CheckpointOptions options(std::int64_t keep = 2) const {
    return {.path = path().string(), .every_steps = 1, .keep = keep};
  }

  std::filesystem::path write(std::int64_t step, int size = 3, std::int64_t keep = 2) const {
    run_ranks(size, {}, [&](World& world) {
      std::vector<int> all;
      for (int rank = 0; rank < size; ++rank) all.push_back(rank);
      const auto group = world.form_group("all", all, soon());
      CheckpointWriter writer(options(keep), world.rank(), size);
      EXPECT_EQ(writer.written(), -1);
      writer.begin(step, tensors_of(size, static_cast<double>(step)), {{"note", "a fact"}});
      EXPECT_TRUE(writer.writing());
      writer.finish(*group, soon());
      EXPECT_FALSE(writer.writing());
    });
    return step_folder(path(), step);
  }

  // What opening, loading or verifying is refused with.
  template <typename Failure>
  std::string refusal(const std::filesystem::path& folder) const {
    try {
      Checkpoint(folder).verify();
    } catch (const Failure& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  TempFolder root_;
};

TEST_F(CheckpointTest, SeveralRanksWriteWhatAnyNumberReads) {
  const auto folder = write(7);
  const Checkpoint checkpoint(folder);
  EXPECT_EQ(checkpoint.step(), 7);
  EXPECT_EQ(checkpoint.facts().at("note"), "a fact");
  EXPECT_THAT(checkpoint.names("parameter"),
              ElementsAre("0.conv.weight", "2.empty", "3.linear.weight"));
  EXPECT_THAT(checkpoint.names("buffer"), ElementsAre("1.norm.count", "1.norm.mean"));
  EXPECT_THAT(checkpoint.names("optimizer"), ElementsAre("0.conv.weight#momentum"));
  EXPECT_NO_THROW(checkpoint.verify());
  auto read = tensors_of(1, 0, /*zero=*/true);
  checkpoint.load(read);
  const auto written = tensors_of(1, 7);
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_TRUE(at::equal(read[i].tensor, written[i].tensor)) << read[i].name;
    EXPECT_TRUE(at::equal(checkpoint.tensor(read[i].name), written[i].tensor)) << read[i].name;
  }
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_TRUE(std::filesystem::exists(folder / slices_file(rank)));
    EXPECT_FALSE(std::filesystem::exists(folder / records_file(rank)));  // they are in the index
  }
}

TEST_F(CheckpointTest, TrainingGoesOnWhileTheCopyIsWritten) {
  CheckpointWriter writer(options(), 0, 1);
  auto tensors = tensors_of(1, 3);
  writer.begin(3, tensors, {});
  for (auto& item : tensors) item.tensor.zero_();  // after begin() the tensors are the trainer's
  run_ranks(1, {},
            [&](World& world) { writer.finish(*world.form_group("all", {0}, soon()), soon()); });
  EXPECT_TRUE(at::equal(Checkpoint(step_folder(path(), 3)).tensor("0.conv.weight"),
                        tensors_of(1, 3)[0].tensor));
}

TEST_F(CheckpointTest, TheIndexComesLast) {
  const auto folder = step_folder(path(), 4);
  run_ranks(2, {}, [&](World& world) {
    const auto group = world.form_group("all", {0, 1}, soon());
    CheckpointWriter writer(options(), world.rank(), 2);
    writer.begin(4, tensors_of(2, 4), {});
    const Deadline limit = soon();
    while (writer.written() != 4) ASSERT_FALSE(limit.passed());
    group->barrier(soon());
    EXPECT_TRUE(std::filesystem::exists(folder / slices_file(world.rank())));
    EXPECT_TRUE(is_index_missing(folder));
    if (world.rank() == 0) {
      EXPECT_THAT(refusal<Corrupt>(folder), HasSubstr("never completed"));
    }
    group->barrier(soon());
    EXPECT_EQ(writer.committed(), -1);
    writer.commit();
    while (writer.committed() != 4) ASSERT_FALSE(limit.passed());
    EXPECT_FALSE(writer.writing());
    group->barrier(soon());
    EXPECT_FALSE(is_index_missing(folder));
  });
}

// The thread that trains may ask for the next one before the index of the last is on disk.
TEST_F(CheckpointTest, TheNextOneMayBeginWhileTheIndexIsBeingWritten) {
  run_ranks(1, {}, [&](World& world) {
    const auto group = world.form_group("all", {0}, soon());
    CheckpointWriter writer(options(/*keep=*/100), 0, 1);
    for (std::int64_t step = 1; step <= 30; ++step) {
      writer.begin(step, tensors_of(1, static_cast<double>(step)), {});
      const Deadline limit = soon();
      while (writer.written() != step) ASSERT_FALSE(limit.passed());
      writer.commit();
    }
    writer.begin(31, tensors_of(1, 31), {});
    writer.finish(*group, soon());
  });
  for (std::int64_t step = 1; step <= 31; ++step) {
    EXPECT_TRUE(at::equal(Checkpoint(step_folder(path(), step)).tensor("0.conv.weight"),
                          tensors_of(1, static_cast<double>(step))[0].tensor));
  }
}

// What was asked for is done, also when the writer goes at once.
TEST_F(CheckpointTest, ACommitIsNotLostWithItsWriter) {
  {
    CheckpointWriter writer(options(), 0, 1);
    writer.begin(1, tensors_of(1, 1), {});
    const Deadline limit = soon();
    while (writer.written() != 1) ASSERT_FALSE(limit.passed());
    writer.commit();
  }
  EXPECT_EQ(find_newest(path()).newest, step_folder(path(), 1));
}

TEST_F(CheckpointTest, WritersShareTheBytes) {
  std::vector<PersistentTensor> tensors;
  for (const std::int64_t extent : {100, 90, 50, 40, 30, 30, 20}) {
    tensors.push_back({"t", "parameter", at::zeros({extent}), {0, 1, 2}});
  }
  tensors.push_back({"only 2", "parameter", at::zeros({10}), {2}});
  const std::vector<int> writers = writers_of(tensors);
  std::map<int, std::int64_t> bytes;
  for (std::size_t i = 0; i < tensors.size(); ++i) bytes[writers[i]] += tensors[i].tensor.numel();
  EXPECT_EQ(writers.back(), 2);
  ASSERT_EQ(bytes.size(), 3u);
  for (const auto& [rank, sum] : bytes) EXPECT_NEAR(sum, 370 / 3.0, 20) << rank;
  EXPECT_EQ(writers_of(tensors), writers);
}

TEST_F(CheckpointTest, KeepsTheNewestOnes) {
  for (const std::int64_t step : {1, 2, 3, 4}) write(step, 2);
  EXPECT_THAT(step_folders(path()), ElementsAre(step_folder(path(), 4), step_folder(path(), 3)));
  EXPECT_EQ(*find_newest(path()).newest, step_folder(path(), 4));
}

TEST_F(CheckpointTest, TheSparedOneStaysBesideTheNewestUntilAnotherIs) {
  run_ranks(1, {}, [&](World& world) {
    const auto group = world.form_group("all", std::vector<int>{0}, soon());
    CheckpointWriter writer(options(1), 0, 1);
    const auto steps_left_after = [&](std::int64_t step) {
      writer.begin(step, tensors_of(1, static_cast<double>(step)), {});
      writer.finish(*group, soon());
      std::vector<std::int64_t> left;
      for (const auto& folder : step_folders(path())) left.push_back(step_of_folder(folder));
      return left;
    };
    steps_left_after(1);
    writer.spare(1);
    steps_left_after(2);
    EXPECT_THAT(steps_left_after(3), ElementsAre(3, 1));
    writer.spare(3);
    EXPECT_THAT(steps_left_after(4), ElementsAre(4, 3));
    EXPECT_THAT(steps_left_after(5), ElementsAre(5, 3));
  });
}

TEST_F(CheckpointTest, ADamagedLaterOneDoesNotCostTheOneJustWritten) {
  const auto later = write(20, 1, 1);
  std::filesystem::resize_file(later / slices_file(0), 50);
  const auto written = write(10, 1, 1);
  EXPECT_EQ(find_newest(path()).newest, written);
  EXPECT_EQ(find_newest(path()).skipped.size(), 1u);
}

TEST_F(CheckpointTest, LeftoversOfACrashGoWithTheNextOne) {
  const auto good = write(1);
  const auto torn = step_folder(path(), 2);
  std::filesystem::create_directories(torn);
  std::ofstream(torn / slices_file(0)) << "half a file";
  std::filesystem::create_directories(path() / "step-of-somebody-else");
  const FoundCheckpoint found = find_newest(path());
  EXPECT_EQ(found.newest, good);
  EXPECT_THAT(found.skipped,
              ElementsAre(AllOf(HasSubstr(torn.string()), HasSubstr("never completed"))));
  write(3);
  EXPECT_FALSE(std::filesystem::exists(torn));
  EXPECT_TRUE(std::filesystem::exists(good));
  EXPECT_TRUE(std::filesystem::exists(path() / "step-of-somebody-else"));
}

TEST_F(CheckpointTest, AnEmptyOrMissingFolderHasNone) {
  EXPECT_FALSE(find_newest(path()).newest);
  EXPECT_THAT(find_newest(path()).skipped, IsEmpty());
  EXPECT_THAT(refusal<InvalidInput>(path() / "step-00000009"), HasSubstr("no such folder"));
}

TEST_F(CheckpointTest, EveryTruncationIsFound) {
  const auto folder = write(5);
  for (const char* name : {"index.json", "rank-0000.safetensors", "rank-0002.safetensors"}) {
    const auto file = folder / name;
    const std::string whole = read_file(file);
    const std::size_t end =
        whole.size() - (name[0] == 'i' ? 1 : 0);  // the last newline says nothing
    for (std::size_t length = 0; length < end; length += 1 + length / 16) {
      std::filesystem::resize_file(file, length);
      EXPECT_THAT(refusal<Corrupt>(folder), HasSubstr(file.string())) << length;
      std::ofstream(file, std::ios::binary | std::ios::trunc) << whole;
    }
    std::filesystem::resize_file(file, end - 1);
    EXPECT_THAT(refusal<Corrupt>(folder), HasSubstr(file.string()));
    std::ofstream(file, std::ios::binary | std::ios::trunc) << whole;
  }
  EXPECT_NO_THROW(Checkpoint(folder).verify());
}

TEST_F(CheckpointTest, AFlippedByteIsFoundWhereverItIs) {
  const auto folder = write(5);
  const std::size_t data = Checkpoint(folder).tensor("0.conv.weight").nbytes();
  ASSERT_GT(data, 0u);
  int flips = 0;
  for (int rank = 0; rank < 3; ++rank) {
    const auto file = folder / slices_file(rank);
    const std::size_t size = read_file(file).size();
    const nlohmann::json index = nlohmann::json::parse(read_file(folder / "index.json"));
    for (const auto& slice : index.at("slices")) {
      if (slice.at("file") != slices_file(rank)) continue;
      const auto begin = slice.at("begin").get<std::size_t>();
      const auto end = slice.at("end").get<std::size_t>();
      ASSERT_LE(end, size);
      for (std::size_t at = begin; at < end; at += 37, ++flips) {
        alter(file, at);
        EXPECT_THAT(refusal<Corrupt>(folder),
                    AllOf(HasSubstr(file.string()),
                          HasSubstr(fmt::format("'{}'", slice.at("name").get<std::string>()))));
        alter(file, at);
      }
    }
  }
  EXPECT_GT(flips, 10);
  // The index itself: counters and facts too. Flipping space to '0' may only move the layout.
  const auto index = folder / "index.json";
  const std::string text = read_file(index);
  const std::size_t own_checksum = text.find("\n \"crc32c\"");  // its name may be left out
  ASSERT_NE(own_checksum, std::string::npos);
  for (std::size_t at = 0; at < text.size(); at += 11) {
    if (std::isspace(static_cast<unsigned char>(text[at])) != 0) continue;
    if (at > own_checksum && at < own_checksum + 10) continue;
    alter(index, at);
    EXPECT_ANY_THROW(Checkpoint(folder).verify()) << text.substr(at, 20);
    EXPECT_THAT(find_newest(path()).skipped, ElementsAre(HasSubstr(folder.string())));
    alter(index, at);
  }
  EXPECT_NO_THROW(Checkpoint(folder).verify());
}

TEST_F(CheckpointTest, AMissingFileIsNamed) {
  const auto folder = write(5);
  std::filesystem::remove(folder / slices_file(1));
  EXPECT_THAT(refusal<Corrupt>(folder), HasSubstr("rank-0001.safetensors is missing"));
}

// An index that somebody edited: without a checksum of its own.
TEST_F(CheckpointTest, ForeignIndexesAreRefusedByReason) {
  const auto folder = write(5);
  const std::string text = read_file(folder / "index.json");
  const auto edited = [&](const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json index = nlohmann::json::parse(text);
    index.erase("crc32c");
    edit(index);
    std::ofstream(folder / "index.json", std::ios::trunc) << index.dump();
  };
  edited([](auto& index) { index["version"] = kCheckpointVersion + 1; });
  EXPECT_THAT(refusal<InvalidInput>(folder),
              HasSubstr("has version 2, this shoal reads version 1"));
  edited([](auto& index) { index["version"] = "new"; });
  EXPECT_THAT(refusal<InvalidInput>(folder), HasSubstr("has version \"new\""));
  const std::vector<std::pair<std::function<void(nlohmann::json&)>, const char*>> edits{
      {[](auto& index) { index = 3; }, "is not the index"},
      {[](auto& index) { index["format"] = 3; }, "is not the index"},
      {[](auto& index) { index.erase("facts"); }, "'facts'"},
      {[](auto& index) { index["step"] = "five"; }, "another form"},
      {[](auto& index) { index["slices"] = 7; }, "another form"},
      {[](auto& index) { index["slices"][0].erase("end"); }, "another form"},
      {[](auto& index) { index["slices"][0]["type"] = "float3"; }, "float3"},
      {[](auto& index) { index["slices"][0]["file"] = "../../elsewhere"; }, "no file beside it"},
      {[](auto& index) { index["slices"][0]["file"] = "/etc/passwd"; }, "no file beside it"},
      {[](auto& index) { index["slices"][0]["box"] = nlohmann::json::array(); }, "does not cover"},
      {[](auto& index) { index["slices"].push_back(index["slices"][0]); }, "more than once"},
      {[](auto& index) { index["slices"][0]["name"] = "other"; }, "lacks 'other'"},
      {[](auto& index) { index["slices"][0]["begin"] = 0; }, "otherwise than its index says"},
  };
  for (const auto& [edit, says] : edits) {
    edited(edit);
    EXPECT_THAT(refusal<Corrupt>(folder), HasSubstr(says));
    EXPECT_EQ(find_newest(path()).skipped.size(), 1u) << says;
  }
  edited([](auto&) {});
  EXPECT_NO_THROW(Checkpoint(folder).verify());
}

TEST_F(CheckpointTest, AnotherModelIsRefusedWithEveryDifference) {
  const Checkpoint checkpoint(write(5));
  auto wanted = tensors_of(1, 0, /*zero=*/true);
  wanted[0].tensor = at::zeros({4, 3, 5});
  wanted[3].tensor = at::zeros({5});  // float32 in place of float64
  wanted[5].name = "3.linear.bias";
  try {
    checkpoint.load(wanted);
    FAIL() << "another model was loaded";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.faults, ElementsAre(AllOf(HasSubstr("'0.conv.weight'"),
                                                HasSubstr("[4, 3, 3]"), HasSubstr("[4, 3, 5]")),
                                          AllOf(HasSubstr("'1.norm.mean'"), HasSubstr("float64")),
                                          HasSubstr("'3.linear.bias'")));
  }
  EXPECT_EQ(wanted[1].tensor.abs().sum().item<double>(), 0);  // nothing was loaded in part
  EXPECT_THROW((void)checkpoint.tensor("nobody"), InvalidInput);
}

TEST_F(CheckpointTest, FindsTheNewestWholeOneAndSaysWhatItPassed) {
  for (const std::int64_t step : {1, 2, 3}) write(step, 2, 5);
  std::filesystem::resize_file(step_folder(path(), 3) / slices_file(1), 9);
  const auto second = step_folder(path(), 2);
  alter(second / slices_file(0), read_file(second / slices_file(0)).size() - 1);
  const FoundCheckpoint found = find_newest(path());
  EXPECT_EQ(*found.newest, step_folder(path(), 1));
  EXPECT_THAT(found.skipped,
              ElementsAre(AllOf(HasSubstr("skipped checkpoint"), HasSubstr("step-00000003")),
                          AllOf(HasSubstr("step-00000002"), HasSubstr("checksum differs"))));
}

TEST_F(CheckpointTest, DifferenceComparesTensorByTensor) {
  const Checkpoint a(write(5)), b(write(6));
  for (const TensorDifference& entry : difference(a, a)) {
    EXPECT_EQ(entry.largest, 0) << entry.name;
    EXPECT_EQ(entry.note, "") << entry.name;
  }
  const auto found = difference(a, b);
  ASSERT_EQ(found.size(), 6u);
  EXPECT_EQ(found[0].name, "0.conv.weight");
  EXPECT_EQ(found[0].largest, 1);
  const double norm = a.tensor("0.conv.weight").to(at::kDouble).norm().item<double>();
  EXPECT_NEAR(found[0].relative_norm, std::sqrt(36.0) / norm, 1e-12);
  EXPECT_EQ(found[4].largest, 0);  // no elements
}

TEST_F(CheckpointTest, ABadFolderIsNamedBeforeTraining) {
  std::ofstream(root_ / "file") << "x";
  CheckpointOptions in_file{
      .path = (root_ / "file" / "runs").string(), .every_steps = 1, .keep = 1};
  try {
    CheckpointWriter writer(in_file, 0, 1);
    FAIL() << "a folder inside a file was taken";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(in_file.path), HasSubstr("choose another folder")));
  }
  EXPECT_THAT((CheckpointOptions{.path = "", .every_steps = 3, .keep = 0}.problems()),
              ElementsAre(HasSubstr("keep is 0"), HasSubstr("needs a path")));
  EXPECT_THAT((CheckpointOptions{.path = "x", .every_steps = -1, .keep = 1}.problems()),
              ElementsAre(HasSubstr("every_steps is -1")));
}

// A file system of 64 KiB of its own.
class TinyDisk {
 public:
  explicit TinyDisk(std::filesystem::path at) : at_(std::move(at)) {
    std::filesystem::create_directories(at_);
    mounted_ = mount("tmpfs", at_.c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  ~TinyDisk() {
    if (mounted_) umount(at_.c_str());
  }
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path at_;
  bool mounted_ = false;
};

TEST_F(CheckpointTest, AFullDiskIsNamedAndTheOlderOneStays) {
  const TinyDisk disk(path());
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const auto older = write(1, 1);
  CheckpointWriter writer(options(), 0, 1);
  writer.begin(2, {{"big", "parameter", at::zeros({100'000}), {0}}}, {});
  const Deadline limit = soon();
  try {
    while (writer.written() != 2) ASSERT_FALSE(limit.passed());
    FAIL() << "100,000 numbers fitted into 64 KiB";
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("rank-0000.safetensors"), HasSubstr("the disk is full")));
  }
  EXPECT_EQ(find_newest(path()).newest, older);
}

// The folder of the source tree has the interpreter that `make setup` makes.
TEST_F(CheckpointTest, PythonsSafetensorsReadsTheWeights) {
  const auto python = std::filesystem::current_path() / ".venv" / "bin" / "python";
  if (!std::filesystem::exists(python)) GTEST_SKIP() << "there is no " << python;
  const auto folder = write(5);
  std::ofstream(root_ / "read.py") << R"(
import sys
from safetensors.numpy import load_file
found = {}
for file in sys.argv[1:]:
    found |= load_file(file)
assert sorted(found) == ["0.conv.weight", "0.conv.weight#momentum", "1.norm.count", "1.norm.mean",
                         "2.empty", "3.linear.weight"], sorted(found)
assert found["0.conv.weight"].shape == (4, 3, 3) and found["0.conv.weight"].dtype == "float32"
assert found["0.conv.weight"].flatten().tolist() == [5.0 + i for i in range(36)]
assert found["1.norm.count"].tolist() == 5 and found["1.norm.mean"].dtype == "float64"
assert found["3.linear.weight"].shape == (7, 10) and found["3.linear.weight"][1, 2] == 5 + 2 * 7 + 1
assert found["2.empty"].shape == (0, 3)
)";
  const std::string command = fmt::format("'{}' '{}' '{}'/*.safetensors", python.string(),
                                          (root_ / "read.py").string(), folder.string());
  if (std::system(fmt::format("'{}' -c 'import safetensors'", python.string()).c_str()) != 0) {
    GTEST_SKIP() << "the interpreter lacks safetensors";
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace shoal

// Metrics files: what is written is found again, also after a crash.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"
#include "shoal/train/metrics_formats.h"
#include "shoal/train/metrics_observer.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const MetricsFormat& format_called(const std::string& name) {
  for (const MetricsFormat& format : metrics_formats()) {
    if (format.name == name) return format;
  }
  throw InvalidInput(name);
}

StepReport step_report(std::int64_t step) {
  return {.step = step,
          .epoch = step / 2,
          .loss = 1.0 / static_cast<double>(step + 1),
          .rate = 0.125,
          .gradient_norm = step == 0 ? 0 : 2.5,
          .samples = 10,
          .seconds = 0.5,
          .compute_seconds = 0.25,
          .communication_seconds = 0.125,
          .data_seconds = 0.0625};
}

EvaluationReport evaluation_report(const std::string& set) {
  return {.set = set, .loss = 0.75, .accuracy = 0.5, .classifies = true, .samples = 40};
}

// All records of a file, as "step set".
std::vector<std::string> records_in(const std::filesystem::path& file,
                                    const MetricsFormat& format) {
  const std::string content = read_file(file);
  std::string_view rest = content;
  std::vector<std::string> found;
  while (!rest.empty()) {
    const auto record = format.next(rest);
    if (!record) {
      found.emplace_back("torn");
      break;
    }
    if (record->set != "header" && record->set != "run") {
      found.push_back(fmt::format("{} {}", record->step, record->set));
    }
    rest.remove_prefix(record->bytes);
  }
  return found;
}

class MetricsFiles : public testing::Test {
 protected:
  MetricsFiles() {
    options_ = {.path = (folder_ / "m").string(), .formats = {"jsonl", "csv", "tensorboard"}};
  }

  // Steps begin .. end-1, an evaluation after each second one.
  void run(bool resume, std::int64_t begin, std::int64_t end) {
    MetricsObserver metrics(options_, resume, begin);
    StartReport start;
    start.model = "mlp";
    start.first_step = begin;
    start.steps_per_epoch = 2;
    metrics.started(start);
    for (std::int64_t step = begin; step < end; ++step) {
      metrics.after_step(step_report(step));
      if (step % 2 == 1) metrics.evaluated(evaluation_report("validation"));
    }
    metrics.evaluated(evaluation_report("test"));
  }
  std::filesystem::path file(const MetricsFormat& format) const {
    return std::filesystem::path(options_.path) / format.file;
  }

  TempFolder folder_;
  MetricsOptions options_;
};

const std::vector<std::string> kThreeSteps = {"1 train", "2 train", "2 validation", "3 train",
                                              "3 test"};

TEST_F(MetricsFiles, EveryFormatHasEveryRecord) {
  run(false, 0, 3);
  for (const MetricsFormat& format : metrics_formats()) {
    EXPECT_EQ(records_in(file(format), format), kThreeSteps) << format.name;
  }
}

TEST_F(MetricsFiles, LinesSayWhatIsKnown) {
  run(false, 0, 2);
  std::ifstream lines(file(format_called("jsonl")));
  std::vector<nlohmann::json> json;
  for (std::string line; std::getline(lines, line);) json.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(json.size(), 5U);
  EXPECT_EQ(json[0]["set"], "run");
  EXPECT_EQ(json[0]["model"], "mlp");
  EXPECT_EQ(json[1]["samples_per_second"], 20.0);
  EXPECT_FALSE(json[1].contains("gradient_norm"));
  EXPECT_EQ(json[2]["gradient_norm"], 2.5);
  EXPECT_EQ(json[2]["other"], 0.0625);
  EXPECT_EQ(json[2]["epoch"], 1);
  EXPECT_EQ(json[3]["accuracy"], 0.5);
  EXPECT_THAT(read_file(file(format_called("csv"))),
              StartsWith("step,epoch,set,time,loss,accuracy,rate,gradient_norm,samples,seconds,"
                         "samples_per_second,compute,communication,data,other\n1,1,train,"));
  EXPECT_THAT(read_file(file(format_called("csv"))),
              HasSubstr(",0.5,,0.125,2.5,10,0.5,20,0.25,0.125,0.0625,0.0625\n2,1,validation,"));
}

TEST_F(MetricsFiles, AResumedRunRepeatsNoStepAndNoEvaluation) {
  run(false, 0, 5);
  run(true, 3, 5);  // the checkpoint was of step 3
  for (const MetricsFormat& format : metrics_formats()) {
    EXPECT_THAT(records_in(file(format), format),
                ElementsAre("1 train", "2 train", "2 validation", "3 train", "4 train",
                            "4 validation", "5 train", "5 test"))
        << format.name;
  }
  run(true, 5, 5);  // nothing to do: only evaluated again
  for (const MetricsFormat& format : metrics_formats()) {
    EXPECT_EQ(records_in(file(format), format).size(), 8U) << format.name;
  }
}

TEST_F(MetricsFiles, WhatACrashCutShortIsDropped) {
  for (const MetricsFormat& format : metrics_formats()) {
    run(false, 0, 3);
    const auto whole = std::filesystem::file_size(file(format));
    std::filesystem::resize_file(file(format), whole - 3);
    EXPECT_EQ(records_in(file(format), format).back(), "torn");
    run(true, 3, 3);
    EXPECT_EQ(records_in(file(format), format), kThreeSteps) << format.name;
    std::filesystem::remove_all(options_.path);
  }
}

TEST_F(MetricsFiles, AnotherRunsFilesAreNotOverwritten) {
  run(false, 0, 1);
  EXPECT_THROW(run(false, 0, 1), InvalidInput);
  std::filesystem::remove_all(options_.path);
  run(true, 0, 1);  // where there is nothing, a resumed run begins the files
  for (const MetricsFormat& format : metrics_formats()) {
    EXPECT_THAT(records_in(file(format), format), ElementsAre("1 train", "1 test"));
  }
}

TEST_F(MetricsFiles, WhatIsNoRecordIsRefusedAndNotCutOff) {
  for (const MetricsFormat& format : metrics_formats()) {
    run(false, 0, 3);
    std::string content = read_file(file(format));
    content[content.size() / 3] ^= 0x20;
    content.insert(content.size() / 3, std::string_view(format.name) == "tensorboard" ? "" : "\n{");
    std::ofstream(file(format), std::ios::binary) << content;
    try {
      run(true, 3, 4);
      FAIL() << format.name;
    } catch (const InvalidInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("move it away"));
    }
    EXPECT_EQ(read_file(file(format)), content);
    std::filesystem::remove_all(options_.path);
  }
}

TEST_F(MetricsFiles, AFolderThatCannotBeMadeIsNamed) {
  std::ofstream(folder_ / "file") << "";
  options_.path = (folder_ / "file" / "m").string();
  EXPECT_THROW(run(false, 0, 1), InvalidInput);
}

TEST(MetricsOptions, FormatsAreChecked) {
  EXPECT_THAT(MetricsOptions{}.problems(), ElementsAre());
  EXPECT_THAT((MetricsOptions{.path = "", .formats = {"tensorbord"}}.problems()),
              ElementsAre(HasSubstr("did you mean 'tensorboard'?")));
  EXPECT_THAT((MetricsOptions{.path = "", .formats = {}}.problems()),
              ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT((MetricsOptions{.path = "", .formats = {"csv", "csv"}}.problems()),
              ElementsAre(HasSubstr("more than once")));
}

// Bit by bit, unlike the product's.
std::uint32_t masked_crc_by_bits(const std::string& bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

TEST(EventFile, ARecordIsFramedAndEncodedAsItsFormatsSay) {
  const std::string record = tensorboard::encode(
      {.step = 300, .epoch = 1, .set = "train", .time = 1.5, .values = {{"loss", 0.25}}});
  std::uint64_t length = 0;
  std::memcpy(&length, record.data(), sizeof length);
  ASSERT_EQ(record.size(), length + 16);
  const std::string event = record.substr(12, length);
  std::uint32_t sums[2];
  std::memcpy(&sums[0], record.data() + 8, 4);
  std::memcpy(&sums[1], record.data() + 12 + length, 4);
  EXPECT_EQ(sums[0], masked_crc_by_bits(record.substr(0, 8)));
  EXPECT_EQ(sums[1], masked_crc_by_bits(event));
  // wall_time 1.5; step 300; summary { value { tag "train/loss", simple_value 0.25 } }
  const std::string expected =
      std::string("\x09\x00\x00\x00\x00\x00\x00\xF8\x3F\x10\xAC\x02\x2A\x13\x0A\x11\x0A\x0A", 18) +
      "train/loss" + std::string("\x15\x00\x00\x80\x3E", 5);
  EXPECT_EQ(event, expected);
}

TEST(EventFile, AFileBeginsWithItsVersion) {
  EXPECT_THAT(tensorboard::header(), HasSubstr("\x1A\x0D"
                                               "brain.Event:2"));
  EXPECT_EQ(tensorboard::next(tensorboard::header())->set, "header");
  EXPECT_FALSE(tensorboard::next(tensorboard::header().substr(0, 20)));
}

}  // namespace
}  // namespace shoal

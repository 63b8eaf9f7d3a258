#include "shoal/train/prepared_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/core/error.h"
#include "shoal/data/test_files.h"
#include "shoal/tensor/torch_settings.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

// 12 pictures of 2x2 in 3 classes.
class JobPreparationTest : public ::testing::Test {
 protected:
  JobPreparationTest() {
    configure_torch(1);
    std::string labels = counting(12);
    for (char& label : labels) label = static_cast<char>(label % 3);
    for (const std::string name : {"train", "test"}) {
      folder_.write(name + "-images", idx_header(0x08, {12, 2, 2}) + counting(48));
      folder_.write(name + "-labels", idx_header(0x08, {12}) + labels);
    }
    job_.data.name = DataName::idx;
    job_.data.path = folder_.path().string();
    job_.data.classes = 3;
    job_.model.name = "mlp";
    job_.train.batch = 4;
  }
  void damage_the_last_file() {
    folder_.write("test-images", idx_header(0x08, {12, 2, 2}) + counting(40));
  }

  TempFolder folder_;
  Job job_;
};

TEST_F(JobPreparationTest, GivesTheSameWhetherTheFormIsKnownAheadOrNot) {
  ASSERT_TRUE(sample_form_ahead(job_.data).has_value());
  const PreparedJob ahead = prepare(job_, 2);
  job_.data.classes = 0;
  ASSERT_FALSE(sample_form_ahead(job_.data).has_value());
  const PreparedJob after = prepare(job_, 2);
  EXPECT_EQ(ahead.programs.digest(), after.programs.digest());
  EXPECT_EQ(ahead.data.train->size(), 12);
  EXPECT_EQ(ahead.data.test->size(), after.data.test->size());
  EXPECT_THAT(ahead.data_spans, SizeIs(1));
}

TEST_F(JobPreparationTest, RefusesAPlanBeforeItReads) {
  job_.data.path = "/absent";
  job_.parallel.mesh = {{"pipe", 3}};
  EXPECT_THAT(refusal([&] { JobPreparation(job_, 2); }), HasSubstr("takes 3 workers"));
}

// The file of programs is missing too, but the data is what to mend first.
TEST_F(JobPreparationTest, NamesAFaultOfTheDataBeforeAnyOther) {
  damage_the_last_file();
  JobPreparation preparation(job_, 2, {.facts_file = {}, .programs_file = "/absent/programs.json"});
  const auto expected = StartsWith("Corrupt: " + (folder_ / "test-images").string());
  EXPECT_THAT(refusal([&] { preparation.compile_programs(); }), expected);
}

TEST_F(JobPreparationTest, TakesAPeersDepartureForAFaultOfTheDataThatBothHave) {
  const auto joining = [&] {
    JobPreparation preparation(job_, 2);
    preparation.compile_programs();
    preparation.while_reading([] { throw PeerLost("rank 1 left", {1}); });
  };
  EXPECT_THROW(joining(), PeerLost);
  damage_the_last_file();
  EXPECT_THAT(refusal(joining), StartsWith("Corrupt: " + (folder_ / "test-images").string()));
}

TEST_F(JobPreparationTest, StopsReadingWhenItIsGivenUp) {
  job_.data.name = DataName::csv;
  job_.data.classes = 0;
  job_.data.path = folder_.write("t.csv.gz", gzip(std::string(8'000'000, ' '))).string();
  { const JobPreparation preparation(job_, 2); }  // would refuse the table if it read to the end
  SUCCEED();
}

}  // namespace
}  // namespace shoal

#include "shoal/data/open_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shoal/core/error.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

TEST(OpenInputs, MadeUpDataHasNoFiles) {
  DataOptions options;
  options.name = DataName::random;
  const DataSplits data = open_data(options, 0);
  EXPECT_THROW(open_inputs(options, data, "x.csv"), InvalidInput);
}

}  // namespace
}  // namespace shoal

#include "shoal/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class CsvTest : public testing::Test {
 protected:
  CsvTable read(std::string_view text, const CsvOptions& options = {}) {
    return parse_csv(text, "x.csv", options);
  }
  std::string refused(std::string_view text, const CsvOptions& options = {},
                      std::int64_t classes = 0) {
    return refusal([&] { samples_of(read(text, options), options, classes); });
  }
  TempFolder folder_;
};

CsvOptions with_label(std::string label, LearningTask task = LearningTask::classification) {
  CsvOptions options;
  options.label = std::move(label);
  options.task = task;
  return options;
}

TEST_F(CsvTest, ReadsNumbersInEveryPermittedDress) {
  const CsvTable table = read("\xEF\xBB\xBF\"a\", b ,c\r\n1,+2.5,-3e-2\n\"4\", 5 ,\t6\r\n7,8,9");
  EXPECT_THAT(table.names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(table.values, ElementsAre(1, 2.5, -0.03, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(table.lines, ElementsAre(2, 3, 4));
}

TEST_F(CsvTest, TakesTheFirstLineAsAHeaderOnlyWhenItHoldsText) {
  EXPECT_THAT(read("1,2\n3,4\n").names, IsEmpty());
  EXPECT_EQ(read("1,2\n3,4\n").rows(), 2);
  EXPECT_THAT(read("1,x\n3,4\n").names, ElementsAre("1", "x"));
  CsvOptions yes;
  yes.header = CsvHeader::yes;
  EXPECT_THAT(read("1,2\n3,4\n", yes).names, ElementsAre("1", "2"));
  CsvOptions no;
  no.header = CsvHeader::no;
  EXPECT_THAT(refused("a,b\n1,2\n", no), HasSubstr("line 1: expected a number in column 0"));
}

TEST_F(CsvTest, KeepsLineBreaksAndQuotesInsideQuotes) {
  const CsvTable table = read("\"first\nname\",\"say \"\"hi\"\"\"\n1,2\n3,4\n");
  EXPECT_THAT(table.names, ElementsAre("first\nname", "say \"hi\""));
  EXPECT_THAT(table.lines, ElementsAre(3, 4));
}

TEST_F(CsvTest, ReadsAnotherSeparatorAndPackedFiles) {
  CsvOptions options;
  options.separator = ";";
  EXPECT_THAT(read("1;2\n3;4\n", options).values, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(read_csv(folder_.write("x.csv.gz", gzip("1,2\n3,4\n")), {}).values,
              ElementsAre(1, 2, 3, 4));
}

TEST_F(CsvTest, RefusesWhatIsNoTableAndNamesTheLine) {
  EXPECT_THAT(refused("1,2\n3,4,5\n"),
              AllOf(StartsWith("Corrupt: "), HasSubstr("x.csv: line 2: expected 2 fields"),
                    HasSubstr("found 3")));
  EXPECT_THAT(refused("1,2\n3\n"), HasSubstr("line 2: expected 2 fields as in the first record"));
  EXPECT_THAT(refused("1,2\n\n3,4\n"),
              HasSubstr("line 2: expected 2 fields as in the first record, "
                        "found an empty line"));
  EXPECT_THAT(refused("1,2\n3,4,\n"), HasSubstr("found 3"));
  EXPECT_THAT(refused(""), HasSubstr("the file is empty"));
  EXPECT_THAT(refused("a,b\n"), HasSubstr("line 1: expected rows of numbers, found none"));
  EXPECT_THAT(refused("a,a\n1,2\n"), HasSubstr("line 1: expected a name for each column, found 'a' "
                                               "twice"));
}

TEST_F(CsvTest, RefusesBrokenQuotes) {
  EXPECT_THAT(refused("1,2\n3,\"4\n5,6\n"), HasSubstr("line 2: expected a closing quote"));
  EXPECT_THAT(refused("1,2\n3,4\"5\n"),
              HasSubstr("line 2: expected quotes around the whole field"));
  EXPECT_THAT(refused("1,2\n3,\"4\"5\n"), HasSubstr("line 2: expected the end of the field"));
  EXPECT_THAT(refused("1,2\r3,4\r"), HasSubstr("line 1: expected a line feed"));
}

TEST_F(CsvTest, RefusesFieldsThatAreNoNumbers) {
  EXPECT_THAT(refused("x,y\n1,2\n3,four\n"),
              HasSubstr("line 3: expected a number in column 1 ('y'), found 'four'"));
  EXPECT_THAT(refused("1,2\n3,\n"),
              HasSubstr("line 2: expected a number in column 1, found nothing"));
  EXPECT_THAT(refused("1,2\n3,0x10\n"), HasSubstr("found '0x10'"));
  EXPECT_THAT(refused("1,2\n3,1.2.3\n"), HasSubstr("found '1.2.3'"));
  EXPECT_THAT(refused("1,2\n3,+-1\n"), HasSubstr("found '+-1'"));
  EXPECT_THAT(refused("1,2\n3," + std::string(100, 'z') + "\n"),
              HasSubstr(std::string(40, 'z') + "...'"));
  EXPECT_THAT(refused("1,2\n3,1e999\n"), HasSubstr("found '1e999'"));
  EXPECT_THAT(refused("1,0\n1e300,0\n"),
              HasSubstr("line 2: expected numbers that 32 bits can hold"));
}

TEST_F(CsvTest, RefusesNonFiniteNumbersUnlessAllowed) {
  EXPECT_THAT(refused("1,0\nnan,0\n"),
              AllOf(HasSubstr("line 2: expected a finite number"), HasSubstr("allow_non_finite")));
  EXPECT_THAT(refused("1,0\n-inf,0\n"), HasSubstr("found '-inf'"));
  CsvOptions allowed;
  allowed.allow_non_finite = true;
  allowed.header = CsvHeader::no;
  const Samples samples = samples_of(read("nan,0\ninf,1\n", allowed), allowed, 0);
  EXPECT_TRUE(std::isnan(samples.values.as<float>()[0]));
  EXPECT_TRUE(std::isinf(samples.values.as<float>()[1]));
}

TEST_F(CsvTest, RefusesBytesThatAreNotUtf8WithTheirPlace) {
  EXPECT_THAT(refused("1,2\n3,\xFF\n"),
              HasSubstr("x.csv: byte 6: expected UTF-8 text, found the byte "
                        "ff"));
}

TEST_F(CsvTest, LearnsTheColumnThatIsNamed) {
  const CsvTable table = read("a,b,c\n1,0,5\n2,1,6\n");
  const Samples last = samples_of(table, with_label("last", LearningTask::regression), 0);
  EXPECT_THAT(last.targets, ElementsAre(5, 6));
  EXPECT_THAT(last.labels, IsEmpty());
  EXPECT_EQ(last.answers.classes, 0);
  const Samples named = samples_of(table, with_label("b"), 0);
  EXPECT_THAT(named.labels, ElementsAre(0, 1));
  EXPECT_THAT(named.values.as<float>(), ElementsAre(1, 5, 2, 6));
  EXPECT_THAT(named.feature_names, ElementsAre("a", "c"));
  EXPECT_THAT(named.shape, ElementsAre(2));
  EXPECT_EQ(named.answers.classes, 2);
  EXPECT_THAT(samples_of(table, with_label("1"), 7).labels, ElementsAre(0, 1));
  EXPECT_EQ(samples_of(table, with_label("1"), 7).answers.classes, 7);
  CsvOptions chosen = with_label("b");
  chosen.columns = {"c", "0"};
  EXPECT_THAT(samples_of(table, chosen, 0).values.as<float>(), ElementsAre(5, 1, 6, 2));
}

TEST_F(CsvTest, LearnsSeveralColumns) {
  const CsvTable table = read("a,red,b,blue\n1,0,5,1\n2,1,6,1\n");
  CsvOptions options;
  options.labels = {"blue", "1"};
  options.task = LearningTask::multi_label;
  const Samples labels = samples_of(table, options, 0);
  EXPECT_THAT(labels.targets, ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(labels.values.as<float>(), ElementsAre(1, 5, 2, 6));
  EXPECT_THAT(labels.answer_names, ElementsAre("blue", "red"));
  EXPECT_EQ(labels.answers, (AnswerForm{.yes_or_no = true, .shape = {2}}));
  options.task = LearningTask::regression;
  options.labels = {"a", "b"};
  const Samples numbers = samples_of(table, options, 0);
  EXPECT_THAT(numbers.targets, ElementsAre(1, 5, 2, 6));
  EXPECT_EQ(numbers.answers, (AnswerForm{.shape = {2}}));
  options.columns = {"blue", "b"};
  EXPECT_THAT(refusal([&] { samples_of(table, options, 0); }),
              HasSubstr("the column 'b' is the label"));
  options.columns.clear();
  options.labels = {"a", "0"};
  EXPECT_THAT(refusal([&] { samples_of(table, options, 0); }),
              HasSubstr("data.labels names the column '0' twice"));
}

TEST_F(CsvTest, RefusesColumnsThatAreNotThereOrTwice) {
  const std::string text = "age,income,class\n1,2,0\n";
  EXPECT_THAT(refused(text, with_label("clas")),
              AllOf(StartsWith("InvalidInput: "), HasSubstr("'clas' that data.label names"),
                    HasSubstr("did you mean 'class'?")));
  EXPECT_THAT(refused("1,2\n", with_label("x")), HasSubstr("give a number from 0 to 1"));
  EXPECT_THAT(refused("1,2\n", with_label("2")), HasSubstr("expected the column '2'"));
  EXPECT_THAT(refused("1,2\n", with_label("-1")), HasSubstr("expected the column '-1'"));
  CsvOptions options = with_label("class");
  options.columns = {"age", "age"};
  EXPECT_THAT(refused(text, options), HasSubstr("names the column 'age' twice"));
  options.columns = {"age", "class"};
  EXPECT_THAT(refused(text, options), HasSubstr("'class' is the label"));
  EXPECT_THAT(refused("1\n2\n"), HasSubstr("expected columns beside the label, found none"));
}

TEST_F(CsvTest, RefusesLabelsThatAreNoClasses) {
  EXPECT_THAT(refused("1,0\n2,1\n3,2\n", {}, 2),
              HasSubstr("line 3: expected a label that is a whole number of 0 to 1, found 2"));
  EXPECT_THAT(refused("1,0\n2,0.5\n"), AllOf(HasSubstr("line 2"), HasSubstr("regression")));
  EXPECT_THAT(refused("1,0\n2,-1\n"), HasSubstr("found -1"));
  EXPECT_THAT(refused("1,0\n2,1e12\n"), HasSubstr("found 1000000000000"));
}

TEST_F(CsvTest, SurvivesAnyDamage) {
  const std::string content = "\"a \"\"x\"\"\",b,label\r\n1.5,-2e3,0\n\"3\",4,1\n5,6,2\n";
  const int refused = survive_damage(content, 5'000, [&](const std::string& damaged) {
    const CsvTable table = read(damaged);
    const Samples samples = samples_of(table, {}, 0);
    ASSERT_EQ(samples.values.size(),
              static_cast<std::size_t>(samples.count * samples.elements()) * 4);
  });
  EXPECT_GT(refused, 1'000);
}

TEST(SklearnDigits, AreTheKnownOnes) {
  const char* path = "/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is missing: install python3-sklearn";
  const Samples digits = samples_of(read_csv(path, {}), {}, 0);
  EXPECT_EQ(digits.count, 1'797);
  EXPECT_THAT(digits.shape, ElementsAre(64));
  EXPECT_EQ(digits.answers.classes, 10);
  for (const float value : digits.values.as<float>()) ASSERT_TRUE(value >= 0 && value <= 16);
}

TEST(Csv, SaysOnOneLineWhatHasLineBreaks) {
  CsvOptions options;
  EXPECT_THAT(refusal([&] { parse_csv("1,\"a\nb\tc\"\n1,\"d\ne\"\n", "t.csv", options); }),
              HasSubstr("line 3: expected a number in column 1 ('a\\nb\\x09c'), found 'd\\ne'"));
  const CsvTable table = parse_csv("\"a\nb\",c\n1,0\n", "t.csv", options);
  options.label = "a";
  EXPECT_THAT(refusal([&] { samples_of(table, options, 0); }), HasSubstr("named a\\nb, c"));
}

}  // namespace
}  // namespace shoal

#include "shoal/data/table_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Kind = ArrowColumn::Kind;

// A table in memory, in place of Arrow's: columns of numbers or texts, cut into groups.
struct FakeColumn {
  ArrowColumn facts;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  std::int64_t absent = -1;  // a row of the table
};

class FakeTable : public ArrowTable {
 public:
  FakeTable(std::vector<FakeColumn> columns, std::vector<std::int64_t> groups,
            std::int64_t piece = 2)
      : columns_(std::move(columns)), groups_(std::move(groups)), piece_(piece) {}
  std::vector<ArrowColumn> columns() override {
    std::vector<ArrowColumn> facts;
    for (const auto& column : columns_) facts.push_back(column.facts);
    return facts;
  }
  std::vector<std::int64_t> group_rows() override {
    return claims ? std::vector<std::int64_t>{*claims} : groups_;
  }
  // In pieces of a few rows, as Arrow gives thousands.
  void read(int group, const std::vector<int>& columns, const TakeArrowRows& take) override {
    if (group == broken_group) throw std::runtime_error("page 3\nis damaged");
    const std::int64_t count = groups_[static_cast<std::size_t>(group)] - rows_lost;
    const auto start = std::accumulate(groups_.begin(), groups_.begin() + group, std::int64_t{0});
    for (std::int64_t row = 0; row < count; row += piece_) {
      const auto first = static_cast<std::size_t>(start + row);
      const auto rows = static_cast<std::size_t>(std::min(piece_, count - row));
      std::vector<std::vector<std::string_view>> texts(columns.size());
      std::vector<ArrowValues> values(columns.size());
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const FakeColumn& column = columns_.at(static_cast<std::size_t>(columns[i]));
        if (column.facts.kind == Kind::number) {
          const std::size_t lost = columns[i] == short_column ? 1 : 0;
          values[i].numbers = std::span(column.numbers).subspan(first, rows - lost);
        } else {
          texts[i].assign(column.texts.begin() + start + row,
                          column.texts.begin() + start + row + static_cast<std::int64_t>(rows));
          values[i].texts = texts[i];
        }
        const std::int64_t absent = column.absent - start - row;
        if (absent >= 0 && absent < piece_) values[i].first_absent = absent;
      }
      take({.first = row, .count = static_cast<std::int64_t>(rows), .columns = values});
    }
  }
  std::int64_t rows_lost = 0;  // of each group
  int broken_group = -1;
  std::optional<std::int64_t> claims = {};  // rows of the only group, as the file says
  int short_column = -1;                    // has a value less than there are rows

 private:
  std::vector<FakeColumn> columns_;
  std::vector<std::int64_t> groups_;
  std::int64_t piece_;
};

FakeColumn numbers(const std::string& name, std::vector<double> values) {
  return {{name, Kind::number, "double"}, std::move(values), {}, -1};
}
FakeColumn texts(const std::string& name, std::vector<std::string> values) {
  return {{name, Kind::text, "string"}, {}, std::move(values), -1};
}

class TableRowsTest : public testing::Test {
 protected:
  std::shared_ptr<TableRows> rows(const std::vector<FakeColumn>& columns,
                                  const TableOptions& options = {},
                                  const std::vector<std::int64_t>& groups = {2, 3}) {
    return std::make_shared<TableRows>(
        path_, [=, piece = piece_] { return std::make_unique<FakeTable>(columns, groups, piece); },
        options);
  }
  std::string refused(const std::vector<FakeColumn>& columns, const TableOptions& options = {}) {
    return refusal([&] {
      const auto table = rows(columns, options);
      for (int row = 0; row < table->size(); ++row) table->row(row).features;
    });
  }
  const std::vector<FakeColumn> good_ = {numbers("a", {1, 2, 3, 4, 5}),
                                         texts("town", {"Ulm", "Bonn", "Ulm", "Aach", "Bonn"}),
                                         numbers("y", {0, 1, 2, 0, 1})};
  std::int64_t piece_ = 2;
  TempFolder folder_;
  const std::string path_ = folder_.write("t.parquet", "").string();
};

TEST_F(TableRowsTest, MakesCategoriesOfText) {
  const auto table = rows(good_, {.text = TextColumns::categories});
  EXPECT_EQ(table->size(), 5);
  EXPECT_EQ(table->form().width(), 4);
  EXPECT_EQ(table->form().classes, 3);
  EXPECT_THAT(table->form().features[1].categories, ElementsAre("Aach", "Bonn", "Ulm"));
  EXPECT_THAT(table->row(0).features, ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(table->row(3).features, ElementsAre(4, 1, 0, 0));
  EXPECT_THAT(table->row(4).features, ElementsAre(5, 0, 1, 0));
  EXPECT_EQ(table->row(2).labels[0], 2);
  EXPECT_EQ(table->row(4).labels[0], 1);
}

TEST_F(TableRowsTest, ChoosesColumnsByNameAndNumber) {
  const auto table = rows(good_, {.label = "town", .columns = {"y", "0"}});
  EXPECT_THAT(table->row(2).features, ElementsAre(2, 3));
  EXPECT_THAT(table->form().class_names, ElementsAre("Aach", "Bonn", "Ulm"));
  EXPECT_EQ(table->row(0).labels[0], 2);
  const auto price =
      rows(good_, {.label = "a", .columns = {"y"}, .task = LearningTask::regression});
  EXPECT_THAT(price->row(4).targets, ElementsAre(5));
  EXPECT_EQ(price->form().classes, 0);
}

TEST_F(TableRowsTest, LearnsSeveralColumns) {
  std::vector<FakeColumn> columns{numbers("a", {1, 2, 3, 4, 5}), numbers("red", {0, 1, 0, 1, 1}),
                                  numbers("blue", {1, 1, 0, 0, 1})};
  const TableOptions options{.labels = {"blue", "red"}, .task = LearningTask::multi_label};
  const auto table = rows(columns, options);
  EXPECT_EQ(table->form().width(), 1);
  EXPECT_EQ(table->form().answers(), (AnswerForm{.yes_or_no = true, .shape = {2}}));
  EXPECT_THAT(table->row(0).targets, ElementsAre(1, 0));
  EXPECT_THAT(table->row(3).targets, ElementsAre(0, 1));
  const TableDataset data("t", table, {.mean = {0}, .deviation = {1}});
  EXPECT_THAT(read_all(data).targets, ElementsAre(1, 0, 1, 1, 0, 0, 0, 1, 1, 1));
  EXPECT_THAT(data.facts().answer_names, ElementsAre("blue", "red"));
  const TableRows test(
      path_, [&] { return std::make_unique<FakeTable>(columns, std::vector<std::int64_t>{5}); },
      table->form(), false);
  EXPECT_THAT(test.row(3).targets, ElementsAre(0, 1));
  columns[1].numbers[3] = 2;
  EXPECT_THAT(refused(columns, options),
              HasSubstr("row 3 (from 0): expected 0 or 1 in the column 'red', found 2"));
  columns[2].absent = 1;
  EXPECT_THAT(refused(columns, options), HasSubstr("row 1 (from 0): expected a label"));
  EXPECT_THAT(refused(columns, {.labels = {"red", "1"}, .task = LearningTask::multi_label}),
              HasSubstr("data.labels names the column '1' twice"));
}

TEST_F(TableRowsTest, ReadsOnlyTheGroupsThatAreAskedFor) {
  const auto table = rows(good_, {.columns = {"a"}, .classes = 3}, {2, 1, 2});
  EXPECT_EQ(table->groups_read(), 0);
  EXPECT_THAT(table->row(2).features, ElementsAre(3));
  EXPECT_EQ(table->groups_read(), 1);
  EXPECT_EQ(table->row(4).labels[0], 1);
  EXPECT_EQ(table->groups_read(), 2);
}

TEST_F(TableRowsTest, GivesRowsThatFollowEachOtherAtOnce) {
  const auto table = rows(good_, {.columns = {"a"}}, {2, 1, 2});
  const auto run = [&](const std::vector<std::int64_t>& rows) { return table->run(rows); };
  EXPECT_THAT(run({0, 1, 2}).features, ElementsAre(1, 2));  // the group ends
  EXPECT_THAT(run({3, 4}).labels, ElementsAre(0, 1));
  EXPECT_EQ(run({3, 4, 4}).count, 2);
  const auto whole = rows(good_, {.columns = {"a"}}, {5});
  EXPECT_EQ(whole->run(std::vector<std::int64_t>{0, 2, 3}).count, 1);
  EXPECT_EQ(whole->run(std::vector<std::int64_t>{1, 2, 2, 3}).count, 2);
  EXPECT_EQ(whole->run(std::vector<std::int64_t>{3, 2, 1}).count, 1);
  const TableDataset data("t", table, {.mean = {1}, .deviation = {2}});
  Batch batch;
  data.read(std::vector<std::int64_t>{3, 4, 0, 1, 2, 2}, batch);
  EXPECT_THAT(batch.floats(), ElementsAre(1.5, 2, 0, 0.5, 1, 1));
  EXPECT_THAT(batch.labels, ElementsAre(0, 1, 0, 1, 2, 2));
}

// More rows than are written at a time, of columns of both kinds.
TEST_F(TableRowsTest, WritesEveryColumnOfManyRows) {
  constexpr int kRows = 1000;
  std::vector<double> values(kRows);
  std::iota(values.begin(), values.end(), 0);
  std::vector<std::string> parities(kRows);
  for (std::size_t i = 0; i < kRows; ++i) parities[i] = i % 2 == 0 ? "even" : "odd";
  std::vector<FakeColumn> columns{numbers("a", values), texts("parity", parities),
                                  numbers("b", values), numbers("y", values)};
  std::ranges::reverse(columns[2].numbers);
  const TableOptions options{.task = LearningTask::regression, .text = TextColumns::categories};
  piece_ = kRows;
  const auto table = rows(columns, options, {kRows});
  std::vector<std::int64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  const TableRows::Run run = table->run(all);
  ASSERT_EQ(run.count, kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto row = static_cast<float>(i);
    const float even = i % 2 == 0 ? 1 : 0;
    EXPECT_THAT(run.features.subspan(4 * i, 4), ElementsAre(row, even, 1 - even, kRows - 1 - row));
    EXPECT_EQ(run.targets[i], row);
  }
  columns[2].numbers[777] = std::nan("");
  EXPECT_THAT(refusal([&] { rows(columns, options, {kRows})->row(0); }),
              HasSubstr("row 777 (from 0): expected a finite number in the column 'b', found nan"));
}

TEST_F(TableRowsTest, IsReadBySeveralThreads) {
  constexpr int kRows = 400;
  std::vector<double> values(kRows);
  std::iota(values.begin(), values.end(), 0);
  const auto table = rows({numbers("a", values), numbers("y", values)}, {},
                          std::vector<std::int64_t>(kRows / 4, 4));
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRows; ++i) {
          const int row = (i * 7 + t * 100) % kRows;
          wrong += table->row(row).features[0] != static_cast<float>(row) ||
                   table->row(row).labels[0] != row;
        }
      });
    }
  }
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(table->groups_read(), kRows / 4);
}

TEST_F(TableRowsTest, TestTablesHaveTheFormOfTheTrainingTable) {
  const auto train = rows(good_, {.text = TextColumns::categories});
  const auto test = [&](const std::vector<FakeColumn>& columns) {
    return TableRows(
        path_, [&] { return std::make_unique<FakeTable>(columns, std::vector<std::int64_t>{1}); },
        train->form(), false);
  };
  const TableRows good = test({numbers("y", {2}), texts("town", {"Bonn"}), numbers("a", {7})});
  EXPECT_THAT(good.row(0).features, ElementsAre(7, 0, 1, 0));
  EXPECT_EQ(good.row(0).labels[0], 2);
  const auto first_row = [&](const std::vector<FakeColumn>& columns) {
    return refusal([&] { test(columns).row(0).features; });
  };
  EXPECT_THAT(first_row({numbers("y", {2}), texts("town", {"Rom"}), numbers("a", {7})}),
              HasSubstr("row 0 (from 0): expected a text that the training table has in the column "
                        "'town', found 'Rom'"));
  EXPECT_THAT(first_row({numbers("y", {3}), texts("town", {"Ulm"}), numbers("a", {7})}),
              HasSubstr("a whole number of 0 to 2 in the column 'y', found 3"));
  EXPECT_THAT(first_row({numbers("y", {2}), numbers("a", {7})}),
              HasSubstr("the column 'town' of text as in the training table, found none"));
  EXPECT_THAT(first_row({numbers("y", {2}), numbers("town", {1}), numbers("a", {7})}),
              HasSubstr("the column 'town' of text as in the training table, found double"));
}

TEST_F(TableRowsTest, WithoutLabelsNoColumnOfThemIsRead) {
  const auto train = rows(good_, {.text = TextColumns::categories});
  const TableRows inputs(
      path_,
      [&] {
        return std::make_unique<FakeTable>(
            std::vector<FakeColumn>{texts("town", {"Bonn"}), numbers("a", {7})},
            std::vector<std::int64_t>{1});
      },
      train->form().without_labels(), false);
  EXPECT_THAT(inputs.row(0).features, ElementsAre(7, 0, 1, 0));
  EXPECT_EQ(inputs.row(0).labels[0], 0);
  EXPECT_EQ(inputs.form().classes, train->form().classes);
}

TEST_F(TableRowsTest, NormalisesAsADataset) {
  const auto table = rows(good_, {.columns = {"a"}});
  const Normalization scaling = measure(*table, std::vector<std::int64_t>{0, 2});
  EXPECT_THAT(scaling.mean, ElementsAre(2));
  EXPECT_THAT(scaling.deviation, ElementsAre(1));
  const TableDataset data("table", table, scaling);
  Batch batch;
  data.read(std::vector<std::int64_t>{4, 0}, batch);
  EXPECT_THAT(batch.floats(), ElementsAre(3, -1));
  EXPECT_THAT(batch.labels, ElementsAre(1, 0));
  EXPECT_THAT(batch.sample_ids, ElementsAre(4, 0));
}

TEST_F(TableRowsTest, RefusesColumnsThatAreNotWhatIsAsked) {
  EXPECT_THAT(
      refused(good_),
      AllOf(StartsWith("InvalidInput: "),
            HasSubstr("t.parquet: expected numbers in the column 'town', found string: name "
                      "the columns to learn from in data.columns, or set data.text")));
  EXPECT_THAT(refused(good_, {.label = "z"}), HasSubstr("found 3 columns named a, town, y"));
  EXPECT_THAT(refused(good_, {.columns = {"towm"}}), HasSubstr("did you mean 'town'?"));
  EXPECT_THAT(refused(good_, {.columns = {"y"}}),
              HasSubstr("names the column 'y', which is the label"));
  EXPECT_THAT(refused(good_, {.columns = {"a", "0"}}), HasSubstr("which is in it already"));
  EXPECT_THAT(refused({numbers("y", {0, 1, 0, 1, 0})}), HasSubstr("columns beside the label"));
  EXPECT_THAT(refused(good_, {.label = "town", .columns = {"a"}, .task = LearningTask::regression}),
              HasSubstr("expected numbers in the column 'town' of the label, found string"));
  FakeColumn list{{"l", Kind::other, "list<item: float>"}, {}, {}, -1};
  EXPECT_THAT(refused({list, good_[2]}, {.text = TextColumns::categories}),
              HasSubstr("expected numbers in the column 'l', found list<item: float>"));
  EXPECT_THAT(refused({good_[0], good_[0], good_[2]}, {.columns = {"a"}}), HasSubstr("'a' twice"));
}

TEST_F(TableRowsTest, RefusesValuesWithTheirRow) {
  auto columns = good_;
  columns[0].absent = 3;
  EXPECT_THAT(
      refused(columns, {.columns = {"a"}}),
      AllOf(StartsWith("Corrupt: "),
            HasSubstr("row 3 (from 0): expected a value in the column 'a', found nothing")));
  EXPECT_THAT(refused({numbers("a", {1, 2, 3, std::nan(""), 5}), good_[2]}),
              HasSubstr("row 3 (from 0): expected a finite number in the column 'a', found nan"));
  EXPECT_EQ(
      refused({numbers("a", {1, 2, 3, std::nan(""), 5}), good_[2]}, {.allow_non_finite = true}),
      "");
  EXPECT_THAT(refused({numbers("a", {1, 2, 3, 4, 1e300}), good_[2]}),
              HasSubstr("row 4 (from 0): expected a number that 32 bits can hold"));
  EXPECT_THAT(
      refused({good_[0], numbers("y", {0, 1, 0.5, 0, 1})}),
      HasSubstr("row 2 (from 0): expected a whole number of 0 to 16777215 in the column 'y', "
                "found 0.5"));
  EXPECT_THAT(refused({good_[0], good_[2]}, {.classes = 2}),
              HasSubstr("row 2 (from 0): expected a whole number of 0 to 1"));
  auto label = good_[2];
  label.absent = 0;
  EXPECT_THAT(refused({good_[0], label}), HasSubstr("row 0 (from 0): expected a label"));
}

TEST_F(TableRowsTest, StopsBetweenGroups) {
  std::stop_source stop;
  stop.request_stop();
  const auto open = [&] {
    return std::make_unique<FakeTable>(good_, std::vector<std::int64_t>{2, 3});
  };
  EXPECT_THAT(
      refusal([&] { TableRows(path_, open, TableOptions{.columns = {"a"}}, stop.get_token()); }),
      HasSubstr("Cancelled: reading"));
  const auto table = rows(good_, {.columns = {"a"}});
  EXPECT_THAT(refusal([&] { measure(*table, std::vector<std::int64_t>{0}, stop.get_token()); }),
              HasSubstr("Cancelled: measuring"));
}

TEST_F(TableRowsTest, RefusesGroupsOfOtherThanTheirRows) {
  for (const std::int64_t lost : {1, -1}) {
    const auto open = [&] {
      auto table = std::make_unique<FakeTable>(
          std::vector<FakeColumn>{numbers("a", {1, 2, 3, 4}), numbers("y", {0, 1, 0, 1})},
          std::vector<std::int64_t>{3});
      table->rows_lost = lost;
      return table;
    };
    const TableRows table(path_, open, TableOptions{.classes = 2});
    EXPECT_THAT(refusal([&] { table.row(0).features; }),
                HasSubstr(fmt::format("expected 3 rows in row group 0, found {}", 3 - lost)));
  }
}

TEST_F(TableRowsTest, MakesRoomAsRowsCome) {
  constexpr std::int64_t kRows = (2 << 20) + 5;  // room is made three times
  std::vector<double> values(kRows);
  std::iota(values.begin(), values.end(), 0);
  piece_ = 1 << 16;
  const auto table = rows({numbers("a", values), numbers("y", values)},
                          {.task = LearningTask::regression}, {kRows});
  for (const std::int64_t row : {std::int64_t{0}, kRows / 2 - 3, kRows / 2, kRows - 6, kRows - 1}) {
    EXPECT_THAT(table->row(row).features, ElementsAre(static_cast<float>(row)));
    EXPECT_THAT(table->row(row).targets, ElementsAre(static_cast<float>(row)));
  }
}

TEST_F(TableRowsTest, TakesNoMemoryForRowsThatDoNotCome) {
  const auto claiming = [&](std::int64_t claims, std::int64_t classes) {
    return refusal([&] {
      const TableRows table(
          path_,
          [&] {
            auto fake = std::make_unique<FakeTable>(good_, std::vector<std::int64_t>{5});
            fake->claims = claims;
            return fake;
          },
          TableOptions{.columns = {"a"}, .classes = classes});
      table.row(0);
    });
  };
  for (const std::int64_t classes : {0, 3}) {
    EXPECT_THAT(claiming(4'000'000'000, classes),
                HasSubstr("expected 4000000000 rows in row group 0, found 5"));
  }
  EXPECT_THAT(claiming(-1, 0), HasSubstr("expected 0 to 4294967295 rows in row group 0, found -1"));
  EXPECT_THAT(claiming(std::int64_t{1} << 62, 0), HasSubstr("expected 0 to 4294967295 rows"));
}

TEST_F(TableRowsTest, RefusesColumnsThatAreShorterThanOthers) {
  const auto open = [&] {
    auto table = std::make_unique<FakeTable>(good_, std::vector<std::int64_t>{2, 3});
    table->short_column = 0;
    return table;
  };
  const TableRows table(path_, open, TableOptions{.columns = {"a"}, .classes = 3});
  EXPECT_THAT(refusal([&] { table.row(3); }),
              AllOf(StartsWith("Corrupt: "),
                    HasSubstr("expected 2 values of a column in row group 1, found 1")));
}

TEST_F(TableRowsTest, SaysWhatArrowSays) {
  const auto open = [] {
    auto table = std::make_unique<FakeTable>(
        std::vector<FakeColumn>{numbers("a", {1, 2}), numbers("y", {0, 1})},
        std::vector<std::int64_t>{1, 1});
    table->broken_group = 1;
    return table;
  };
  const TableRows table(path_, open, TableOptions{.classes = 2});
  EXPECT_THAT(table.row(0).features, ElementsAre(1));
  EXPECT_THAT(refusal([&] { table.row(1).features; }),
              AllOf(StartsWith("Corrupt: "),
                    HasSubstr("t.parquet: Arrow cannot read it: page 3 is damaged")));
  EXPECT_THAT(refusal([&] { TableRows("/absent.parquet", open, TableOptions{}); }),
              HasSubstr("InvalidInput: cannot read /absent.parquet: No such file"));
  EXPECT_THAT(refusal([&] { rows(good_, {}, {}); }), HasSubstr("the table is empty"));
}

}  // namespace
}  // namespace shoal

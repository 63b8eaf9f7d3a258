// Tables of named columns with types, read a row group at a time: Parquet, and CSV with text.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "shoal/data/arrow_calls.h"
#include "shoal/data/csv.h"
#include "shoal/data/dataset.h"
#include "shoal/data/scaling.h"
#include "shoal/data/table_group.h"

namespace shoal {

struct TableOptions {
  std::string label = "last";  // a column's name, or its number from 0 (a name goes first)
  std::vector<std::string> labels = {};   // in its place: one column or several
  std::vector<std::string> columns = {};  // to learn from; empty: all but the labels
  LearningTask task = LearningTask::classification;
  TextColumns text = TextColumns::refuse;
  std::int64_t classes = 0;  // of a label that is a number; 0: the largest + 1
  bool allow_non_finite = false;
};

// All calls may run in several threads at once. A row group is read when one of its rows is first
// asked for, and then kept as float32: whoever asks for few groups reads no others. Opening reads
// the columns whose values it has to know: text, and a label whose classes are not given.
// Throws InvalidInput for a column that is not there, or is text or of another type where a number
// is needed; Corrupt, with the row from 0, for an absent value, what is not finite unless allowed,
// a label that is none, and a text that the training table does not have; and for files that Arrow
// cannot read, in its words.
class TableRows {
 public:
  // Opens a table; what it throws is said to be the fault of `path`.
  using Open = std::function<std::unique_ptr<ArrowTable>()>;

  // Cancelled after a stop, between two row groups.
  TableRows(std::string path, const Open& open, const TableOptions& options,
            const std::stop_token& stop = {});
  // Another table in the form of the training table: for tests, or without_labels() to predict.
  TableRows(std::string path, const Open& open, const TableForm& form, bool allow_non_finite);

  const TableForm& form() const { return form_; }
  std::int64_t size() const { return first_rows_.back(); }
  int groups_read() const;

  // Rows that follow each other in the table and in memory. They stay as long as the table.
  struct Run {
    std::int64_t count = 0;
    std::span<const float> features;       // row by row
    std::span<const std::int64_t> labels;  // of a classification; empty without labels
    std::span<const float> targets;        // else, row by row
  };
  // The longest run that `rows` begins with; `rows` has at least one.
  Run run(std::span<const std::int64_t> rows) const;
  Run row(std::int64_t number) const { return run({&number, 1}); }

 private:
  using Group = detail::TableGroup;
  void open(const Open& open);
  int column_of(const std::string& wanted, std::string_view key) const;
  void choose_columns(const TableOptions& options);
  std::vector<int> label_columns(const TableOptions& options) const;
  void require_labels(const std::vector<int>& labels, LearningTask task) const;
  void find_values(const TableOptions& options, const std::stop_token& stop);
  void find_columns();
  std::vector<std::string> texts_of(int column, const std::stop_token& stop) const;
  void read(int group, const std::vector<int>& columns, const TakeArrowRows& take) const;
  [[noreturn]] void refuse_count(const std::string& expected, int group, std::int64_t found) const;
  detail::TableValues::Place place_of(std::size_t group) const {
    return {.first = first_rows_[group], .count = first_rows_[group + 1] - first_rows_[group]};
  }
  std::size_t group_of(std::int64_t row) const;
  const Group& group(std::size_t number) const;
  std::unique_ptr<Group> read_group(int number) const;
  detail::TableValues values() const { return {path_, form_, allow_non_finite_}; }

  std::string path_;
  bool allow_non_finite_ = false;
  TableForm form_;
  std::size_t width_ = 0;  // of the form
  std::vector<ArrowColumn> columns_;
  std::vector<int> chosen_;               // columns of the features, then those of the labels
  std::vector<std::int64_t> first_rows_;  // of each group, and last the number of rows

  mutable std::mutex mutex_;  // guards the two below
  std::unique_ptr<ArrowTable> table_;
  mutable std::vector<std::unique_ptr<const Group>> groups_;  // null: not yet read
  // The same pointers, set when a group is complete: rows are looked up without the mutex.
  mutable std::vector<std::atomic<const Group*>> ready_;
};

// Shares the rows with whoever else reads them: training and validation are parts of one table.
class TableDataset : public Dataset {
 public:
  TableDataset(std::string name, std::shared_ptr<const TableRows> rows, Normalization scaling);
  void read(std::span<const std::int64_t> ids, Batch& out) const override;

 private:
  void scale(std::span<const float> features, float* to) const;

  std::shared_ptr<const TableRows> rows_;
  Normalization scaling_;
  bool is_scaled_ = false;
};

// Per column, over `rows`. Reads all groups that they are in. Throws as reading does, Cancelled
// after a stop.
Normalization measure(const TableRows& table, std::span<const std::int64_t> rows,
                      const std::stop_token& stop = {});

}  // namespace shoal

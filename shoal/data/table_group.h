// Rows of a table in memory, and how the values of its columns become them. Inside data only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/data/answer_form.h"
#include "shoal/data/arrow_calls.h"
#include "shoal/data/batch.h"
#include "shoal/data/csv.h"

namespace shoal {

// What is learnt from what: found in the training table, and the same for the test table.
struct TableForm {
  struct Feature {
    std::string column;
    std::vector<std::string> categories;  // of text: its values, in the order of their bytes
    std::int64_t width() const {
      return categories.empty() ? 1 : static_cast<std::int64_t>(categories.size());
    }
  };
  std::vector<Feature> features;
  std::vector<std::string> labels;  // columns to learn; one of them for classes
  bool has_labels = true;  // false, for what is to be predicted: no label is read, and all are 0
  LearningTask task = LearningTask::classification;
  std::int64_t classes = 0;              // 0: numbers, or 0 and 1
  std::vector<std::string> class_names;  // of a label that is text, in the order of their bytes

  std::int64_t width() const;
  TableForm without_labels() const;
  AnswerForm answers() const;
};

// Text of a file, or words of Arrow, in a message of one line.
std::string line_of(std::string text);

namespace detail {

// The rows of a row group, as far as they have come.
struct TableGroup {
  std::int64_t room = 0;             // rows that fit
  AlignedBytes features;             // float32, row by row
  std::vector<std::int64_t> labels;  // of a classification
  std::vector<float> targets;        // else, row by row
};

// Writes rows of groups, value by value as the form has them. Throws Corrupt, with the row from 0,
// for values that the form does not allow. Borrows its arguments; several threads may use it.
class TableValues {
 public:
  TableValues(const std::string& path, const TableForm& form, bool allow_non_finite);

  // Which rows of the table a group says that it has. Room is made as they come: a damaged file
  // says what it likes.
  struct Place {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  // `rows` has the columns of the features, then those of the answers.
  void take(const ArrowRows& rows, const Place& place, TableGroup& group) const;
  // `rows` has the columns of the answers alone.
  void take_answers(const ArrowRows& rows, const Place& place, TableGroup& group) const;

  [[noreturn]] void refuse(std::int64_t row, const std::string& column, std::string_view expected,
                           std::string_view found) const;

 private:
  enum class Room : std::uint8_t { answers, all };
  void make_room(Room room, std::int64_t rows, const Place& place, TableGroup& group) const;
  void put_answers(const ArrowRows& rows, std::int64_t first_row, TableGroup& group) const;
  void take_numbers(const ArrowRows& rows, std::int64_t first_row, std::span<float> to) const;
  void take_texts(const ArrowRows& rows, std::int64_t first_row, std::span<float> to) const;
  void take_labels(const ArrowValues& values, std::int64_t first_row,
                   std::span<std::int64_t> to) const;
  void take_targets(const ArrowRows& rows, std::int64_t first_row, std::span<float> to) const;
  float number(double value, std::int64_t row, const std::string& column) const;

  const std::string& path_;
  const TableForm& form_;
  const bool allow_non_finite_;
  std::vector<std::size_t> places_;  // of each feature in a row, and last their end
};

}  // namespace detail
}  // namespace shoal

// Cuts comma-separated text into records: quotes, doubled quotes, and line breaks inside quotes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// Borrows the text. One thread at a time.
class CsvRecords {
 public:
  // `path` is for messages.
  CsvRecords(std::string_view text, char separator, std::string path)
      : text_(text), separator_(separator), path_(std::move(path)) {}

  // The fields of the next record; false at the end of the text. Fields are valid until the next
  // call. Throws Corrupt naming the line: a quote that never ends or stands inside a field, a
  // carriage return without a line feed.
  bool next(std::vector<std::string_view>& fields);
  std::int64_t line() const { return record_line_; }  // from 1, where the last record begins

 private:
  std::string_view plain_field();
  std::string_view quoted_field();
  bool at_end() const { return at_ == text_.size(); }
  [[noreturn]] void refuse(std::int64_t line, std::string_view fault) const;

  std::string_view text_;
  char separator_;
  std::string path_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::int64_t record_line_ = 0;
  std::deque<std::string> unquoted_;  // fields that had doubled quotes; they stay in place
};

}  // namespace shoal

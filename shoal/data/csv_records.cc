#include "shoal/data/csv_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "shoal/core/error.h"

namespace shoal {

void CsvRecords::refuse(std::int64_t line, std::string_view fault) const {
  throw Corrupt(fmt::format("{}: line {}: {}", path_, line, fault), path_);
}

bool CsvRecords::next(std::vector<std::string_view>& fields) {
  fields.clear();
  unquoted_.clear();
  if (at_end()) return false;
  record_line_ = line_;
  for (;;) {
    fields.push_back(!at_end() && text_[at_] == '"' ? quoted_field() : plain_field());
    if (at_end()) return true;
    const char end = text_[at_++];
    if (end == separator_) continue;  // also at the end of the text: one more, empty, field
    if (end == '\r') {
      if (at_end() || text_[at_] != '\n') {
        refuse(line_, "expected a line feed after the carriage return, found none");
      }
      ++at_;
    }
    ++line_;
    return true;
  }
}

std::string_view CsvRecords::plain_field() {
  const std::size_t begin = at_;
  while (!at_end()) {
    const char c = text_[at_];
    if (c == separator_ || c == '\n' || c == '\r') break;
    if (c == '"') {
      refuse(line_, "expected quotes around the whole field, found a quote inside it");
    }
    ++at_;
  }
  return text_.substr(begin, at_ - begin);
}

std::string_view CsvRecords::quoted_field() {
  const std::int64_t first_line = line_;
  const std::size_t begin = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_end()) {
      refuse(first_line,
             "expected a closing quote, found the end of the file: the quote that "
             "opens on this line never ends");
    }
    if (text_[at_] == '\n') ++line_;
    if (text_[at_] != '"') continue;
    if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      doubled = true;
      ++at_;
      continue;
    }
    break;
  }
  const std::string_view inside = text_.substr(begin, at_ - begin);
  ++at_;
  if (!at_end() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
    refuse(line_, "expected the end of the field after its closing quote, found more text");
  }
  if (!doubled) return inside;
  std::string& plain = unquoted_.emplace_back();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    plain += inside[i];
    if (inside[i] == '"') ++i;
  }
  return plain;
}

}  // namespace shoal

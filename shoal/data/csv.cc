#include "shoal/data/csv.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "shoal/core/error.h"
#include "shoal/core/utf8.h"
#include "shoal/data/byte_source.h"
#include "shoal/data/csv_records.h"

namespace shoal {
namespace {

using Fields = std::vector<std::string_view>;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Nothing for what is not wholly a number that a double can hold.
std::optional<double> number_in(std::string_view field) {
  field = trimmed(field);
  if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return value;
}

// A quoted field may hold line breaks; a message is one line.
std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= ' ') {
      line += c;
    } else {
      line += c == '\n' ? "\\n" : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return line;
}

std::string shown(std::string_view field) {
  constexpr std::size_t kMost = 40;
  if (field.empty()) return "nothing";
  if (field.size() <= kMost) return fmt::format("'{}'", on_one_line(field));
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(field[end]) & 0xC0) == 0x80) --end;
  return fmt::format("'{}...'", on_one_line(field.substr(0, end)));
}

std::string column_text(const CsvTable& table, std::size_t column) {
  if (column >= table.names.size() || table.names[column].empty()) return fmt::format("{}", column);
  return fmt::format("{} ({})", column, shown(table.names[column]));
}

class Reader {
 public:
  Reader(CsvTable& table, const CsvOptions& options) : table_(table), options_(options) {}

  void read(std::string_view text) {
    if (const auto bad = first_invalid_utf8(text)) {
      throw Corrupt(fmt::format("{}: byte {}: expected UTF-8 text, found the byte {:02x}: convert "
                                "the file",
                                table_.path, *bad, static_cast<unsigned char>(text[*bad])),
                    table_.path);
    }
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    CsvRecords records(text, options_.separator.at(0), table_.path);
    Fields fields;
    while (records.next(fields)) {
      line_ = records.line();
      if (table_.columns == 0) {
        table_.columns = static_cast<std::int64_t>(fields.size());
        if (is_header(fields)) {
          take_header(fields);
          continue;
        }
      }
      take_row(fields);
    }
    if (table_.lines.empty()) {
      refuse(std::max<std::int64_t>(line_, 1), "rows of numbers", "none: the file is empty");
    }
  }

 private:
  [[noreturn]] void refuse(std::int64_t line, std::string_view expected,
                           std::string_view found) const {
    throw Corrupt(
        fmt::format("{}: line {}: expected {}, found {}", table_.path, line, expected, found),
        table_.path);
  }

  bool is_header(const Fields& fields) const {
    switch (options_.header) {
      case CsvHeader::yes:
        return true;
      case CsvHeader::no:
        return false;
      case CsvHeader::automatic:
        break;
    }
    return std::any_of(fields.begin(), fields.end(), [](std::string_view field) {
      return !trimmed(field).empty() && !number_in(field);
    });
  }

  void take_header(const Fields& fields) {
    std::set<std::string_view> seen;
    for (const std::string_view field : fields) {
      const std::string_view name = trimmed(field);
      if (!name.empty() && !seen.insert(name).second) {
        refuse(line_, "a name for each column", fmt::format("{} twice", shown(name)));
      }
      table_.names.emplace_back(name);
    }
  }

  void take_row(const Fields& fields) {
    if (static_cast<std::int64_t>(fields.size()) != table_.columns) {
      refuse(line_, fmt::format("{} fields as in the first record", table_.columns),
             fields.size() == 1 && fields[0].empty() ? "an empty line"
                                                     : fmt::format("{}", fields.size()));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto value = number_in(fields[i]);
      if (!value) {
        refuse(line_, fmt::format("a number in column {}", column_text(table_, i)),
               shown(fields[i]));
      }
      if (!std::isfinite(*value) && !options_.allow_non_finite) {
        refuse(line_, fmt::format("a finite number in column {}", column_text(table_, i)),
               shown(fields[i]) + " (data.allow_non_finite = true lets it pass)");
      }
      table_.values.push_back(*value);
    }
    table_.lines.push_back(line_);
  }

  CsvTable& table_;
  const CsvOptions& options_;
  std::int64_t line_ = 0;
};

// Column of that name or number.
std::size_t find_column(const CsvTable& table, const std::string& wanted, std::string_view key) {
  const auto named = std::find(table.names.begin(), table.names.end(), wanted);
  if (!wanted.empty() && named != table.names.end()) {
    return static_cast<std::size_t>(named - table.names.begin());
  }
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  const bool whole = error == std::errc() && end == wanted.data() + wanted.size();
  if (whole && number >= 0 && number < table.columns) return static_cast<std::size_t>(number);
  const auto meant = nearest(wanted, table.names);
  throw InvalidInput(
      fmt::format("{}: expected the column '{}' that data.{} names, found {} columns{}{}",
                  table.path, wanted, key, table.columns,
                  table.names.empty()
                      ? fmt::format(" without names: give a number from 0 to {}", table.columns - 1)
                      : " named " + on_one_line(fmt::format("{}", fmt::join(table.names, ", "))),
                  meant ? fmt::format(": did you mean {}?", shown(*meant)) : ""));
}

bool has(const std::vector<std::size_t>& columns, std::size_t column) {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

std::vector<std::size_t> label_columns(const CsvTable& table, const CsvOptions& options) {
  std::vector<std::size_t> columns;
  for (const std::string& wanted : options.labels) {
    const std::size_t column = find_column(table, wanted, "labels");
    if (has(columns, column)) {
      throw InvalidInput(
          fmt::format("{}: data.labels names the column '{}' twice", table.path, wanted));
    }
    columns.push_back(column);
  }
  if (!columns.empty()) return columns;
  const bool is_last = options.label == "last" && std::find(table.names.begin(), table.names.end(),
                                                            "last") == table.names.end();
  return {is_last ? static_cast<std::size_t>(table.columns) - 1
                  : find_column(table, options.label, "label")};
}

std::vector<std::size_t> feature_columns(const CsvTable& table, const CsvOptions& options,
                                         const std::vector<std::size_t>& labels) {
  std::vector<std::size_t> features;
  if (options.columns.empty()) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(table.columns); ++i) {
      if (!has(labels, i)) features.push_back(i);
    }
  }
  for (const std::string& wanted : options.columns) {
    const std::size_t column = find_column(table, wanted, "columns");
    if (has(labels, column)) {
      throw InvalidInput(
          fmt::format("{}: the column '{}' is the label, data.columns must not "
                      "name it too",
                      table.path, wanted));
    }
    if (has(features, column)) {
      throw InvalidInput(
          fmt::format("{}: data.columns names the column '{}' twice", table.path, wanted));
    }
    features.push_back(column);
  }
  if (features.empty()) {
    throw InvalidInput(
        fmt::format("{}: expected columns beside the label, found none: is the "
                    "separator right?",
                    table.path));
  }
  return features;
}

float float_in(const CsvTable& table, std::size_t row, double value) {
  const auto narrow = static_cast<float>(value);
  if (std::isfinite(value) && !std::isfinite(narrow)) {
    throw Corrupt(fmt::format("{}: line {}: expected numbers that 32 bits can hold, found {}",
                              table.path, table.lines[row], value),
                  table.path);
  }
  return narrow;
}

std::int64_t label_in(const CsvTable& table, std::size_t row, double value, std::int64_t classes) {
  constexpr double kMost = 1 << 24;  // a million classes and more are another column's numbers
  const double limit = classes > 0 ? static_cast<double>(classes) : kMost;
  if (value >= 0 && value < limit && value == std::floor(value)) {
    return static_cast<std::int64_t>(value);
  }
  throw Corrupt(
      fmt::format("{}: line {}: expected a label that is a whole number of 0 to {}, found "
                  "{}{}",
                  table.path, table.lines[row], static_cast<std::int64_t>(limit) - 1, value,
                  classes > 0 ? "" : ": for numbers set data.task = \"regression\""),
      table.path);
}

float yes_or_no_in(const CsvTable& table, std::size_t row, std::size_t column) {
  const double value = table.values[row * static_cast<std::size_t>(table.columns) + column];
  if (value == 0 || value == 1) return static_cast<float>(value);
  throw Corrupt(fmt::format("{}: line {}: expected 0 or 1 in the label's column {}, found {}",
                            table.path, table.lines[row], column_text(table, column), value),
                table.path);
}

}  // namespace

CsvTable read_csv(const std::filesystem::path& path, const CsvOptions& options,
                  std::stop_token stop) {
  const std::string text = open_source(path, std::move(stop))->read_rest();
  return parse_csv(text, path.string(), options);
}

CsvTable parse_csv(std::string_view text, std::string path, const CsvOptions& options) {
  CsvTable table;
  table.path = std::move(path);
  Reader(table, options).read(text);
  return table;
}

Samples samples_of(const CsvTable& table, const CsvOptions& options, std::int64_t classes) {
  const auto columns = static_cast<std::size_t>(table.columns);
  const std::vector<std::size_t> labels = label_columns(table, options);
  const std::vector<std::size_t> features = feature_columns(table, options, labels);
  Samples samples;
  samples.count = table.rows();
  samples.shape = {static_cast<std::int64_t>(features.size())};
  samples.type = ElementType::float32;
  samples.values.resize(table.lines.size() * features.size() * sizeof(float));
  float* to = samples.values.as<float>().data();
  for (std::size_t row = 0; row < table.lines.size(); ++row) {
    const double* fields = table.values.data() + row * columns;
    for (const std::size_t column : features) *to++ = float_in(table, row, fields[column]);
    for (const std::size_t label : labels) {
      if (options.task == LearningTask::classification) {
        samples.labels.push_back(label_in(table, row, fields[label], classes));
      } else if (options.task == LearningTask::regression) {
        samples.targets.push_back(float_in(table, row, fields[label]));
      } else {
        samples.targets.push_back(yes_or_no_in(table, row, label));
      }
    }
  }
  if (options.task == LearningTask::classification) {
    samples.answers.classes =
        classes > 0 ? classes : 1 + *std::max_element(samples.labels.begin(), samples.labels.end());
  }
  samples.answers.yes_or_no = options.task == LearningTask::multi_label;
  if (labels.size() > 1) samples.answers.shape = {static_cast<std::int64_t>(labels.size())};
  for (const std::size_t column : labels) {
    const bool named = !table.names.empty() && options.task != LearningTask::classification;
    if (named) samples.answer_names.push_back(table.names[column]);
  }
  for (const std::size_t column : features) {
    if (!table.names.empty()) samples.feature_names.push_back(table.names[column]);
  }
  return samples;
}

}  // namespace shoal

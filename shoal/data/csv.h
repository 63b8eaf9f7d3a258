// Tables of numbers as comma-separated text.
// Source: RFC 4180, with LF as well as CRLF.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/data/samples.h"

namespace shoal {

enum class CsvHeader : std::uint8_t {
  automatic,  // the first record is a header when one of its fields is not a number
  yes,
  no,
};
enum class LearningTask : std::uint8_t {
  classification,
  regression,
  multi_label,  // one column or more of 0 and 1
};
// What becomes of text in columns that are learnt from, of tables whose columns have types.
enum class TextColumns : std::uint8_t {
  refuse,
  categories,  // a column of text becomes one of 0 and 1 for each of its values
};

struct CsvOptions {
  // Column to learn: "last", a name of the header, or a number from 0 (a name goes first).
  std::string label = "last";
  // In its place: one column or several (a name goes first). Classification learns one.
  std::vector<std::string> labels = {};
  LearningTask task = LearningTask::classification;
  // Columns to learn from, by name or number; empty: all but the labels.
  std::vector<std::string> columns;
  CsvHeader header = CsvHeader::automatic;
  std::string separator = ",";  // one character
  bool allow_non_finite = false;
};

// A table as the file holds it. Fields lie row by row.
struct CsvTable {
  std::string path;
  std::vector<std::string> names;   // of the columns; empty without a header
  std::int64_t columns = 0;         // > 0
  std::vector<double> values;       // rows x columns
  std::vector<std::int64_t> lines;  // in the file, from 1, where each row begins
  std::int64_t rows() const { return static_cast<std::int64_t>(lines.size()); }
};

// `path` is unpacked when it ends in .gz. A byte-order mark is skipped. Blanks around a number are
// taken as nothing. Throws Corrupt naming file, line, expected and found: ragged row, open quote,
// text or nothing in place of a number, NaN or infinity unless allowed, no rows, not UTF-8 (with
// the byte), a name of the header that stands twice. InvalidInput when there is no such file.
CsvTable read_csv(const std::filesystem::path& path, const CsvOptions& options,
                  std::stop_token stop = {});
CsvTable parse_csv(std::string_view text, std::string path, const CsvOptions& options);

// Rows as samples of {features} float32. Labels are whole numbers in 0 .. classes-1; `classes` 0:
// the largest label + 1; of multi_label each is 0 or 1. Throws InvalidInput for a column that is
// not there, or is both label and feature, or stands twice; Corrupt, with the line, for a label
// that is not such a number.
Samples samples_of(const CsvTable& table, const CsvOptions& options, std::int64_t classes);

}  // namespace shoal

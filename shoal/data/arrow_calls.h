// What shoal asks of Apache Arrow. Its libraries are large and most jobs have no need of them: so
// they are spoken to by a module (arrow/module.cc), which is loaded when a file needs it. No header
// of Arrow is included here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct ArrowColumn {
  enum class Kind : std::uint8_t { number, text, other };
  std::string name;
  Kind kind = Kind::other;
  std::string type;  // as Arrow names it: "int64", "string", "list<item: float>"
};

// Values of one column in some rows, borrowed.
struct ArrowValues {
  std::span<const double> numbers;          // of a number column; true is 1
  std::span<const std::string_view> texts;  // of a text column
  std::int64_t first_absent = -1;           // of these rows, that has no value; -1: all have one
};
// Some rows of a row group.
struct ArrowRows {
  std::int64_t first = 0;  // in the group
  std::int64_t count = 0;
  std::span<const ArrowValues> columns;  // as they were asked for; each has `count` values
};
using TakeArrowRows = std::function<void(const ArrowRows&)>;

// A table that is read a row group at a time. One call at a time.
// All calls throw std::exception with Arrow's own words.
class ArrowTable {
 public:
  virtual ~ArrowTable() = default;
  virtual std::vector<ArrowColumn> columns() = 0;
  virtual std::vector<std::int64_t> group_rows() = 0;  // of each row group
  // Gives all rows of `columns`, which are numbers of the list above and none of kind other: some
  // thousand rows, which are still in the cache, then the next. What `take` throws is passed on.
  virtual void read(int group, const std::vector<int>& columns, const TakeArrowRows& take) = 0;
};

class ArrowCalls {
 public:
  static constexpr int kVersion = 3;  // of this header
  virtual ~ArrowCalls() = default;
  // Reads the footer alone.
  virtual std::unique_ptr<ArrowTable> open_parquet(const std::string& path) = 0;
  // Reads the whole file, with types inferred, as one row group. Without names columns are f0, f1
  // ...
  virtual std::unique_ptr<ArrowTable> open_csv(const std::string& path, char separator,
                                               bool has_names) = 0;
};

// The one symbol of the module. Null: it was built for another version of shoal.
using ArrowModuleEntry = ArrowCalls* (*)(int version);
inline constexpr char kArrowModuleEntry[] = "shoal_arrow_calls";

}  // namespace shoal

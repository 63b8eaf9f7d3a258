#include "shoal/data/table_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::int64_t kMostClasses = 1 << 24;  // more are another column's numbers
constexpr std::size_t kMostCategories = 1'000;  // more are names of the rows

// Calls `call`; what it throws that is no Error of ours are Arrow's words about the file.
template <typename Call>
auto of_file(const std::string& path, const Call& call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Corrupt(fmt::format("{}: Arrow cannot read it: {}", path, line_of(error.what())), path);
  }
}

bool has(const std::vector<int>& columns, int column) {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

void require_no_stop(const std::string& path, const std::stop_token& stop) {
  if (stop.stop_requested()) throw Cancelled(fmt::format("reading {} was stopped", path));
}

}  // namespace

TableRows::TableRows(std::string path, const Open& open, const TableOptions& options,
                     const std::stop_token& stop)
    : path_(std::move(path)), allow_non_finite_(options.allow_non_finite) {
  this->open(open);
  choose_columns(options);
  find_values(options, stop);
  width_ = static_cast<std::size_t>(form_.width());
}

TableRows::TableRows(std::string path, const Open& open, const TableForm& form,
                     bool allow_non_finite)
    : path_(std::move(path)), allow_non_finite_(allow_non_finite), form_(form) {
  this->open(open);
  find_columns();
  width_ = static_cast<std::size_t>(form_.width());
}

void TableRows::open(const Open& open) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path_, error)) {
    throw InvalidInput(fmt::format("cannot read {}: {}", path_,
                                   error ? error.message() : "it is not a regular file"));
  }
  std::vector<std::int64_t> rows;
  of_file(path_, [&] {
    table_ = open();
    columns_ = table_->columns();
    rows = table_->group_rows();
  });
  first_rows_ = {0};
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] > kMost) {
      refuse_count(fmt::format("0 to {} rows", kMost), static_cast<int>(i), rows[i]);
    }
    first_rows_.push_back(first_rows_.back() + rows[i]);
  }
  groups_.resize(rows.size());
  ready_ = std::vector<std::atomic<const Group*>>(rows.size());
  if (size() == 0) {
    throw Corrupt(fmt::format("{}: expected rows, found none: the table is empty", path_), path_);
  }
  if (size() > kMost) {
    throw InvalidInput(fmt::format("{}: expected at most 2^32 - 1 rows, found {}", path_, size()));
  }
}

int TableRows::column_of(const std::string& wanted, std::string_view key) const {
  std::vector<std::string> names;
  for (const ArrowColumn& column : columns_) names.push_back(column.name);
  const auto named = std::find(names.begin(), names.end(), wanted);
  if (named != names.end()) {
    if (std::count(named, names.end(), wanted) > 1) {
      throw Corrupt(fmt::format("{}: expected a name for each column, found '{}' twice", path_,
                                line_of(wanted)),
                    path_);
    }
    return static_cast<int>(named - names.begin());
  }
  int number = -1;
  const char* const end = wanted.data() + wanted.size();
  const bool whole = std::from_chars(wanted.data(), end, number).ptr == end;
  if (whole && number >= 0 && number < static_cast<int>(names.size())) return number;
  const auto meant = nearest(wanted, names);
  throw InvalidInput(fmt::format(
      "{}: expected the column '{}' that data.{} names, found {} columns named {}{}", path_, wanted,
      key, names.size(), line_of(fmt::format("{}", fmt::join(names, ", "))),
      meant ? fmt::format(": did you mean '{}'?", line_of(*meant)) : ""));
}

std::vector<int> TableRows::label_columns(const TableOptions& options) const {
  std::vector<int> labels;
  for (const std::string& wanted : options.labels) {
    const int column = column_of(wanted, "labels");
    if (has(labels, column)) {
      throw InvalidInput(
          fmt::format("{}: data.labels names the column '{}' twice", path_, line_of(wanted)));
    }
    labels.push_back(column);
  }
  if (!labels.empty()) return labels;
  const bool is_named =
      std::any_of(columns_.begin(), columns_.end(), [](const auto& c) { return c.name == "last"; });
  return {options.label == "last" && !is_named ? static_cast<int>(columns_.size()) - 1
                                               : column_of(options.label, "label")};
}

void TableRows::require_labels(const std::vector<int>& labels, LearningTask task) const {
  const bool may_be_text = task == LearningTask::classification;
  for (const int label : labels) {
    const ArrowColumn& facts = columns_[static_cast<std::size_t>(label)];
    if (facts.kind == ArrowColumn::Kind::number) continue;
    if (facts.kind == ArrowColumn::Kind::text && may_be_text) continue;
    throw InvalidInput(fmt::format("{}: expected {} in the column '{}' of the label, found {}",
                                   path_, may_be_text ? "numbers or text" : "numbers",
                                   line_of(facts.name), line_of(facts.type)));
  }
}

void TableRows::choose_columns(const TableOptions& options) {
  const std::vector<int> labels = label_columns(options);
  if (options.columns.empty()) {
    for (int i = 0; i < static_cast<int>(columns_.size()); ++i) {
      if (!has(labels, i)) chosen_.push_back(i);
    }
  }
  for (const std::string& wanted : options.columns) {
    const int column = column_of(wanted, "columns");
    if (has(labels, column) || has(chosen_, column)) {
      throw InvalidInput(fmt::format("{}: data.columns names the column '{}', which is {}", path_,
                                     wanted, has(labels, column) ? "the label" : "in it already"));
    }
    chosen_.push_back(column);
  }
  if (chosen_.empty()) {
    throw InvalidInput(fmt::format("{}: expected columns beside the label, found none", path_));
  }
  for (const int column : chosen_) {
    const ArrowColumn& facts = columns_[static_cast<std::size_t>(column)];
    const bool may_be_text = options.text == TextColumns::categories;
    if (facts.kind == ArrowColumn::Kind::number) continue;
    if (facts.kind == ArrowColumn::Kind::text && may_be_text) continue;
    throw InvalidInput(fmt::format(
        "{}: expected numbers in the column '{}', found {}: name the columns to learn from in "
        "data.columns{}",
        path_, line_of(facts.name), line_of(facts.type),
        facts.kind == ArrowColumn::Kind::text ? ", or set data.text = \"categories\"" : ""));
  }
  require_labels(labels, options.task);
  for (const int label : labels) {
    form_.labels.push_back(columns_[static_cast<std::size_t>(label)].name);
  }
  chosen_.insert(chosen_.end(), labels.begin(), labels.end());
}

std::vector<std::string> TableRows::texts_of(int column, const std::stop_token& stop) const {
  const std::string& name = columns_[static_cast<std::size_t>(column)].name;
  std::set<std::string, std::less<>> texts;
  for (int i = 0; i < static_cast<int>(groups_.size()); ++i) {
    require_no_stop(path_, stop);
    read(i, {column}, [&](const ArrowRows& rows) {
      const ArrowValues& values = rows.columns.front();
      if (values.first_absent >= 0) {
        this->values().refuse(
            first_rows_[static_cast<std::size_t>(i)] + rows.first + values.first_absent, name,
            "text", "nothing");
      }
      for (const std::string_view text : values.texts) {
        if (texts.contains(text)) continue;
        texts.emplace(text);
        if (texts.size() <= kMostCategories) continue;
        throw InvalidInput(fmt::format(
            "{}: expected at most {} values in the column '{}' of text, found more: name the "
            "columns to learn from in data.columns",
            path_, kMostCategories, line_of(name)));
      }
    });
  }
  return {texts.begin(), texts.end()};
}

void TableRows::find_values(const TableOptions& options, const std::stop_token& stop) {
  const auto is_text = [&](int column) {
    return columns_[static_cast<std::size_t>(column)].kind == ArrowColumn::Kind::text;
  };
  const int label = chosen_.back();  // of classes
  for (const int column : std::span(chosen_).first(chosen_.size() - form_.labels.size())) {
    form_.features.push_back(
        {.column = columns_[static_cast<std::size_t>(column)].name,
         .categories = is_text(column) ? texts_of(column, stop) : std::vector<std::string>()});
  }
  form_.task = options.task;
  if (options.task != LearningTask::classification) return;
  if (is_text(label)) {
    form_.class_names = texts_of(label, stop);
    form_.classes = static_cast<std::int64_t>(form_.class_names.size());
    return;
  }
  form_.classes = options.classes > 0 ? options.classes : kMostClasses;
  if (options.classes > 0) return;
  const detail::TableValues values = this->values();
  std::int64_t largest = 0;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    require_no_stop(path_, stop);
    Group group;
    read(static_cast<int>(i), {label},
         [&](const ArrowRows& rows) { values.take_answers(rows, place_of(i), group); });
    for (const std::int64_t value : group.labels) largest = std::max(largest, value);
  }
  form_.classes = largest + 1;
}

void TableRows::find_columns() {
  std::vector<std::pair<std::string, bool>> wanted;  // and whether it is text
  for (const auto& feature : form_.features) {
    wanted.emplace_back(feature.column, !feature.categories.empty());
  }
  for (const std::string& label : form_.labels) {
    if (form_.has_labels) wanted.emplace_back(label, !form_.class_names.empty());
  }
  for (const auto& [name, is_text] : wanted) {
    const auto found = std::find_if(columns_.begin(), columns_.end(),
                                    [&](const auto& column) { return column.name == name; });
    const auto kind = is_text ? ArrowColumn::Kind::text : ArrowColumn::Kind::number;
    if (found == columns_.end() || found->kind != kind) {
      throw InvalidInput(
          fmt::format("{}: expected the column '{}' of {} as in the training table, found {}",
                      path_, line_of(name), is_text ? "text" : "numbers",
                      found == columns_.end() ? "none of that name" : line_of(found->type)));
    }
    chosen_.push_back(static_cast<int>(found - columns_.begin()));
  }
}

void TableRows::read(int group, const std::vector<int>& columns, const TakeArrowRows& take) const {
  const auto at = static_cast<std::size_t>(group);
  const std::int64_t count = first_rows_[at + 1] - first_rows_[at];
  std::int64_t taken = 0;
  of_file(path_, [&] {
    table_->read(group, columns, [&](const ArrowRows& rows) {
      check_equal(rows.first, taken, "rows come in their order");
      check_equal(rows.columns.size(), columns.size(), "rows have all columns");
      for (const ArrowValues& values : rows.columns) {
        const auto has = static_cast<std::int64_t>(values.numbers.size() + values.texts.size());
        if (has != rows.count) {
          refuse_count(fmt::format("{} values of a column", rows.count), group, has);
        }
      }
      taken += rows.count;
      if (taken <= count) take(rows);
    });
  });
  if (taken != count) refuse_count(fmt::format("{} rows", count), group, taken);
}

void TableRows::refuse_count(const std::string& expected, int group, std::int64_t found) const {
  throw Corrupt(
      fmt::format("{}: expected {} in row group {}, found {}", path_, expected, group, found),
      path_);
}

int TableRows::groups_read() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(
      std::count_if(groups_.begin(), groups_.end(), [](const auto& g) { return g != nullptr; }));
}

std::size_t TableRows::group_of(std::int64_t row) const {
  check(row >= 0 && row < size(), "a row is one of the table");
  const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
  return static_cast<std::size_t>(after - first_rows_.begin()) - 1;
}

const TableRows::Group& TableRows::group(std::size_t number) const {
  if (const Group* const ready = ready_[number].load(std::memory_order_acquire)) return *ready;
  const std::lock_guard lock(mutex_);
  if (!groups_[number]) groups_[number] = read_group(static_cast<int>(number));
  ready_[number].store(groups_[number].get(), std::memory_order_release);
  return *groups_[number];  // stays where it is
}

std::unique_ptr<TableRows::Group> TableRows::read_group(int number) const {
  const detail::TableValues values = this->values();
  const detail::TableValues::Place place = place_of(static_cast<std::size_t>(number));
  auto group = std::make_unique<Group>();
  read(number, chosen_, [&](const ArrowRows& rows) { values.take(rows, place, *group); });
  return group;
}

TableRows::Run TableRows::run(std::span<const std::int64_t> rows) const {
  const std::size_t in_group = group_of(rows.front());
  const Group& group = this->group(in_group);
  const auto most =
      std::min(rows.size(), static_cast<std::size_t>(first_rows_[in_group + 1] - rows.front()));
  std::size_t count = 1;
  while (count < most && rows[count] == rows[count - 1] + 1) ++count;
  const auto at = static_cast<std::size_t>(rows.front() - first_rows_[in_group]);
  const auto part = [&]<typename T>(std::span<const T> values, std::size_t width) {
    return values.empty() ? values : values.subspan(at * width, count * width);
  };
  return {.count = static_cast<std::int64_t>(count),
          .features = part(group.features.as<float>(), width_),
          .labels = part(std::span(group.labels), 1),
          .targets = part(std::span(group.targets), form_.labels.size())};
}

}  // namespace shoal

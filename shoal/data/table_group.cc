#include "shoal/data/table_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "shoal/core/error.h"

namespace shoal {
namespace {

std::string quoted(std::string_view text) { return "'" + line_of(std::string(text)) + "'"; }

// A place of `text` in what is sorted, or -1.
std::int64_t place_of(std::string_view text, const std::vector<std::string>& sorted) {
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), text);
  return found == sorted.end() || *found != text ? -1 : found - sorted.begin();
}

constexpr std::uint32_t kNotFinite = 0x7f800000;  // the exponent of float32's infinities and NaN

// Writes `values` as every `stride`-th of `to`. Returns the largest exponent, in its place.
std::uint32_t scatter(std::span<const double> values, float* to, std::size_t stride) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<float>(values[i]);
    largest = std::max(largest, std::bit_cast<std::uint32_t>(narrow) & kNotFinite);
    to[i * stride] = narrow;
  }
  return largest;
}

}  // namespace

// Words of Arrow, or text of a file, in a message of one line.
std::string line_of(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  constexpr std::size_t kMost = 300;
  if (text.size() > kMost) text.resize(kMost);
  return text;
}

std::int64_t TableForm::width() const {
  std::int64_t width = 0;
  for (const Feature& feature : features) width += feature.width();
  return width;
}

TableForm TableForm::without_labels() const {
  TableForm form = *this;
  form.has_labels = false;
  return form;
}

AnswerForm TableForm::answers() const {
  AnswerForm form{.classes = classes, .yes_or_no = task == LearningTask::multi_label};
  if (labels.size() > 1) form.shape = {static_cast<std::int64_t>(labels.size())};
  return form;
}

namespace detail {

TableValues::TableValues(const std::string& path, const TableForm& form, bool allow_non_finite)
    : path_(path), form_(form), allow_non_finite_(allow_non_finite), places_{0} {
  for (const auto& feature : form.features) {
    places_.push_back(places_.back() + static_cast<std::size_t>(feature.width()));
  }
}

void TableValues::make_room(Room room, std::int64_t rows, const Place& place,
                            TableGroup& group) const {
  constexpr std::int64_t kRowsAtFirst = 1 << 20;  // as many as writers put into a group
  if (rows <= group.room) return;
  group.room = std::min(place.count, std::max({rows, 2 * group.room, kRowsAtFirst}));
  const auto count = static_cast<std::size_t>(group.room);
  if (form_.task == LearningTask::classification) {
    group.labels.resize(count);
  } else {
    group.targets.resize(count * form_.labels.size());
  }
  if (room == Room::answers) return;
  AlignedBytes features(count * places_.back() * sizeof(float));
  std::ranges::copy(group.features.bytes(), features.data());
  group.features = std::move(features);
}

void TableValues::take(const ArrowRows& rows, const Place& place, TableGroup& group) const {
  make_room(Room::all, rows.first + rows.count, place, group);
  const std::size_t features = form_.features.size();
  const std::span<float> to =
      group.features.as<float>().subspan(static_cast<std::size_t>(rows.first) * places_.back(),
                                         static_cast<std::size_t>(rows.count) * places_.back());
  take_numbers(rows, place.first, to);
  take_texts(rows, place.first, to);
  put_answers({.first = rows.first, .count = rows.count, .columns = rows.columns.subspan(features)},
              place.first, group);
}

void TableValues::take_answers(const ArrowRows& rows, const Place& place, TableGroup& group) const {
  make_room(Room::answers, rows.first + rows.count, place, group);
  put_answers(rows, place.first, group);
}

// A few rows of all columns at a time: what they are written to stays in the first cache.
void TableValues::take_numbers(const ArrowRows& rows, std::int64_t first_row,
                               std::span<float> to) const {
  constexpr std::size_t kRowsAtOnce = 64;
  const std::size_t width = places_.back();
  const std::int64_t row = first_row + rows.first;
  for (std::size_t j = 0; j < form_.features.size(); ++j) {
    const std::int64_t absent = rows.columns[j].first_absent;
    if (absent >= 0) refuse(row + absent, form_.features[j].column, "a value", "nothing");
  }
  std::uint32_t largest = 0;
  const auto count = static_cast<std::size_t>(rows.count);
  for (std::size_t i = 0; i < count; i += kRowsAtOnce) {
    for (std::size_t j = 0; j < form_.features.size(); ++j) {
      const std::span<const double> numbers = rows.columns[j].numbers;
      if (numbers.empty()) continue;
      const std::size_t some = std::min(kRowsAtOnce, count - i);
      largest = std::max(
          largest, scatter(numbers.subspan(i, some), to.data() + i * width + places_[j], width));
    }
  }
  if (largest < kNotFinite) return;
  for (std::size_t j = 0; j < form_.features.size(); ++j) {
    const std::span<const double> numbers = rows.columns[j].numbers;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      (void)number(numbers[i], row + static_cast<std::int64_t>(i), form_.features[j].column);
    }
  }
}

void TableValues::take_texts(const ArrowRows& rows, std::int64_t first_row,
                             std::span<float> to) const {
  const std::size_t width = places_.back();
  for (std::size_t j = 0; j < form_.features.size(); ++j) {
    const TableForm::Feature& feature = form_.features[j];
    const std::span<const std::string_view> texts = rows.columns[j].texts;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::int64_t found = place_of(texts[i], feature.categories);
      if (found < 0) {
        refuse(first_row + rows.first + static_cast<std::int64_t>(i), feature.column,
               "a text that the training table has", quoted(texts[i]));
      }
      float* const categories = to.data() + i * width + places_[j];
      std::fill_n(categories, feature.width(), 0.0F);
      categories[found] = 1;
    }
  }
}

void TableValues::put_answers(const ArrowRows& rows, std::int64_t first_row,
                              TableGroup& group) const {
  const std::int64_t row = first_row + rows.first;
  for (std::size_t j = 0; j < rows.columns.size(); ++j) {
    const std::int64_t absent = rows.columns[j].first_absent;
    if (absent >= 0) refuse(row + absent, form_.labels[j], "a label", "nothing");
  }
  if (rows.columns.empty()) return;
  const auto at = static_cast<std::size_t>(rows.first);
  if (form_.task == LearningTask::classification) {
    take_labels(rows.columns.front(), row, std::span(group.labels).subspan(at));
  } else {
    take_targets(rows, row, std::span(group.targets).subspan(at * form_.labels.size()));
  }
}

// `first_row`: of these values, in the table.
void TableValues::take_labels(const ArrowValues& values, std::int64_t first_row,
                              std::span<std::int64_t> to) const {
  const std::string& label = form_.labels.front();
  const auto row = [&](std::size_t i) { return first_row + static_cast<std::int64_t>(i); };
  for (std::size_t i = 0; i < values.texts.size(); ++i) {
    to[i] = place_of(values.texts[i], form_.class_names);
    if (to[i] < 0) {
      refuse(row(i), label, "a class that the training table has", quoted(values.texts[i]));
    }
  }
  const auto classes = static_cast<double>(form_.classes);
  for (std::size_t i = 0; i < values.numbers.size(); ++i) {
    const double value = values.numbers[i];
    const bool is_class = value >= 0 && value < classes && value == std::floor(value);
    if (!is_class) {
      refuse(row(i), label, fmt::format("a whole number of 0 to {}", form_.classes - 1),
             fmt::format("{}", value));
    }
    to[i] = static_cast<std::int64_t>(value);
  }
}

// `first_row`: of these values, in the table.
void TableValues::take_targets(const ArrowRows& rows, std::int64_t first_row,
                               std::span<float> to) const {
  const std::size_t width = form_.labels.size();
  const bool only_bits = form_.task == LearningTask::multi_label;
  for (std::size_t j = 0; j < width; ++j) {
    const std::span<const double> numbers = rows.columns[j].numbers;
    const std::uint32_t largest = scatter(numbers, to.data() + j, width);
    if (!only_bits && largest < kNotFinite) continue;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::int64_t row = first_row + static_cast<std::int64_t>(i);
      if (only_bits && numbers[i] != 0 && numbers[i] != 1) {
        refuse(row, form_.labels[j], "0 or 1", fmt::format("{}", numbers[i]));
      }
      (void)number(numbers[i], row, form_.labels[j]);
    }
  }
}

float TableValues::number(double value, std::int64_t row, const std::string& column) const {
  const auto narrow = static_cast<float>(value);
  if (std::isfinite(narrow)) return narrow;
  if (std::isfinite(value)) {
    refuse(row, column, "a number that 32 bits can hold", fmt::format("{}", value));
  }
  if (!allow_non_finite_) {
    refuse(row, column, "a finite number",
           fmt::format("{} (data.allow_non_finite = true lets it pass)", value));
  }
  return narrow;
}

void TableValues::refuse(std::int64_t row, const std::string& column, std::string_view expected,
                         std::string_view found) const {
  throw Corrupt(fmt::format("{}: row {} (from 0): expected {} in the column '{}', found {}", path_,
                            row, expected, line_of(column), found),
                path_);
}

}  // namespace detail
}  // namespace shoal

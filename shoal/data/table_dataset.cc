#include <algorithm>
#include <cstring>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/data/table_rows.h"

namespace shoal {
namespace {

DatasetFacts facts_of(std::string name, const TableRows& rows) {
  return {.name = std::move(name),
          .size = rows.size(),
          .sample_shape = {rows.form().width()},
          .answers = rows.form().answers(),
          .answer_names = rows.form().classes > 0 ? rows.form().class_names : rows.form().labels};
}

}  // namespace

TableDataset::TableDataset(std::string name, std::shared_ptr<const TableRows> rows,
                           Normalization scaling)
    : Dataset(facts_of(std::move(name), *rows)),
      rows_(std::move(rows)),
      scaling_(std::move(scaling)) {
  const auto changes = [](double mean) { return mean != 0; };
  const auto stretches = [](double deviation) { return deviation != 1; };
  is_scaled_ = std::ranges::any_of(scaling_.mean, changes) ||
               std::ranges::any_of(scaling_.deviation, stretches);
  const std::size_t groups = scaling_.mean.size();
  check(groups == 1 || groups == static_cast<std::size_t>(rows_->form().width()),
        "a mean for each column");
}

void TableDataset::read(std::span<const std::int64_t> ids, Batch& out) const {
  prepare(ids, out);
  const auto answers = static_cast<std::size_t>(this->answers().count());  // of a sample
  float* to = out.inputs.as<float>().data();
  for (std::size_t i = 0; i < ids.size();) {
    const TableRows::Run run = rows_->run(ids.subspan(i));
    if (is_scaled_) {
      scale(run.features, to);
    } else {
      std::memcpy(to, run.features.data(), run.features.size_bytes());
    }
    to += run.features.size();
    if (classes() > 0) {
      std::ranges::copy(run.labels, out.labels.data() + i);
    } else {
      std::ranges::copy(run.targets, out.targets.data() + i * answers);
    }
    i += static_cast<std::size_t>(run.count);
  }
}

void TableDataset::scale(std::span<const float> features, float* to) const {
  const auto width = static_cast<std::size_t>(rows_->form().width());
  const bool is_for_all = scaling_.mean.size() == 1;
  for (std::size_t begin = 0; begin < features.size(); begin += width) {
    for (std::size_t j = 0; j < width; ++j) {
      const std::size_t group = is_for_all ? 0 : j;
      to[begin + j] =
          static_cast<float>((static_cast<double>(features[begin + j]) - scaling_.mean[group]) /
                             scaling_.deviation[group]);
    }
  }
}

// Two passes, because columns such as years have a mean far larger than their deviation.
Normalization measure(const TableRows& table, std::span<const std::int64_t> rows,
                      const std::stop_token& stop) {
  check(!rows.empty(), "means need at least one sample");
  const auto width = static_cast<std::size_t>(table.form().width());
  std::vector<double> mean(width);
  std::vector<double> squares(width);
  const double count = static_cast<double>(rows.size());
  for (const std::int64_t row : rows) {
    if (stop.stop_requested()) throw Cancelled("measuring the table was stopped");
    const auto features = table.row(row).features;
    for (std::size_t j = 0; j < width; ++j) mean[j] += static_cast<double>(features[j]);
  }
  for (double& value : mean) value /= count;
  for (const std::int64_t row : rows) {
    const auto features = table.row(row).features;
    for (std::size_t j = 0; j < width; ++j) {
      const double distance = static_cast<double>(features[j]) - mean[j];
      squares[j] += distance * distance;
    }
  }
  Normalization result{.mean = {}, .deviation = {}};
  for (std::size_t j = 0; j < width; ++j) add_group(result, mean[j], squares[j] / count);
  return result;
}

}  // namespace shoal

#include "shoal/data/dataset.h"

#include "shoal/core/check.h"

namespace shoal {
namespace {

DatasetFacts facts_of_subset(std::string name, const Dataset& whole, std::size_t rows) {
  DatasetFacts facts = whole.facts();
  facts.name = std::move(name);
  facts.size = static_cast<std::int64_t>(rows);
  return facts;
}

}  // namespace

void Dataset::prepare(std::span<const std::int64_t> rows, Batch& out) const {
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= size()) {
      check(false, fmt::format("sample {} of {}, which has {}", row, name(), size()));
    }
  }
  const std::size_t samples = rows.size();
  out.samples = static_cast<std::int64_t>(samples);
  out.input_type = input_type();
  out.input_shape = sample_shape();
  out.inputs.resize(samples * static_cast<std::size_t>(facts_.sample_elements()) *
                    size_of(input_type()));
  out.answer_shape = answers().shape;
  const std::size_t given = samples * static_cast<std::size_t>(answers().count());
  out.labels.resize(classes() > 0 ? given : 0);
  out.targets.resize(classes() > 0 ? 0 : given);
  out.shares.clear();
  out.other_labels.clear();
  out.sample_ids.assign(rows.begin(), rows.end());
}

void Dataset::read_augmented(std::span<const std::int64_t>, const Augmentation&, Batch&) const {
  check(false, fmt::format("{} has no pictures", name()));
}

Subset::Subset(std::string name, std::shared_ptr<const Dataset> whole,
               std::vector<std::int64_t> rows)
    : Dataset(facts_of_subset(std::move(name), *whole, rows.size())),
      whole_(std::move(whole)),
      rows_(std::move(rows)) {
  for (const std::int64_t row : rows_) {
    check(row >= 0 && row < whole_->size(), "a subset names rows of the whole data set");
  }
}

std::vector<std::int64_t> Subset::rows_of(std::span<const std::int64_t> ids) const {
  std::vector<std::int64_t> rows;
  rows.reserve(ids.size());
  for (const std::int64_t id : ids) {
    check(id >= 0 && id < size(), "a sample id is in 0 .. size-1");
    rows.push_back(rows_[static_cast<std::size_t>(id)]);
  }
  return rows;
}

void Subset::read(std::span<const std::int64_t> ids, Batch& out) const {
  whole_->read(rows_of(ids), out);
}

void Subset::read_augmented(std::span<const std::int64_t> ids, const Augmentation& augmentation,
                            Batch& out) const {
  whole_->read_augmented(rows_of(ids), augmentation, out);
}

}  // namespace shoal

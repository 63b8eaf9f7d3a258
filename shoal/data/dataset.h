// A data set: samples by number, ready for a model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"
#include "shoal/data/answer_form.h"
#include "shoal/data/batch.h"

namespace shoal {

class Augmentation;

// What is known of every sample before one is read.
struct DatasetFacts {
  std::string name;                        // as in messages: "fashion-mnist, training part"
  std::int64_t size = 0;                   // samples
  std::vector<std::int64_t> sample_shape;  // {1, 28, 28}; channels first
  std::int64_t ids = 0;                    // samples are whole numbers 0 .. ids-1; 0: floats
  AnswerForm answers = {};
  // Of the classes, or of several columns to predict; empty when the files do not name them.
  std::vector<std::string> answer_names = {};

  std::int64_t sample_elements() const {
    std::int64_t elements = 1;
    for (const std::int64_t extent : sample_shape) elements *= extent;
    return elements;
  }
};

// Immutable after construction: all calls may run in several threads at once.
class Dataset {
 public:
  explicit Dataset(DatasetFacts facts) : facts_(std::move(facts)) {}
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const DatasetFacts& facts() const { return facts_; }
  const std::string& name() const { return facts_.name; }
  std::int64_t size() const { return facts_.size; }
  const AnswerForm& answers() const { return facts_.answers; }
  std::int64_t classes() const { return facts_.answers.classes; }
  const std::vector<std::int64_t>& sample_shape() const { return facts_.sample_shape; }
  ElementType input_type() const {
    return facts_.ids > 0 ? ElementType::int64 : ElementType::float32;
  }

  // Fills `out` with the samples `ids` in that order; out.index is left alone. Each id is in
  // 0..size()-1 (anything else is a bug of the caller: BrokenInvariant) and may come twice.
  // out's memory is used again where it is large enough.
  virtual void read(std::span<const std::int64_t> ids, Batch& out) const = 0;

  // Whether samples are pictures of {channels, height, width} kept as bytes, which can be altered.
  virtual bool has_pictures() const { return false; }
  // read() with each picture cut and coloured as `augmentation` draws it for step out.index. Only
  // where has_pictures() (checked).
  virtual void read_augmented(std::span<const std::int64_t> ids, const Augmentation& augmentation,
                              Batch& out) const;

 protected:
  // Sizes everything in `out` for samples of this data set, and puts `rows` into sample_ids.
  void prepare(std::span<const std::int64_t> rows, Batch& out) const;

 private:
  DatasetFacts facts_;
};

// Some samples of another data set, under new numbers: id i is `rows[i]` there. Shared ownership,
// because the training and the validation part are views of the same samples.
class Subset : public Dataset {
 public:
  Subset(std::string name, std::shared_ptr<const Dataset> whole, std::vector<std::int64_t> rows);
  void read(std::span<const std::int64_t> ids, Batch& out) const override;
  bool has_pictures() const override { return whole_->has_pictures(); }
  void read_augmented(std::span<const std::int64_t> ids, const Augmentation& augmentation,
                      Batch& out) const override;
  const std::vector<std::int64_t>& rows() const { return rows_; }

 private:
  std::vector<std::int64_t> rows_of(std::span<const std::int64_t> ids) const;

  std::shared_ptr<const Dataset> whole_;
  std::vector<std::int64_t> rows_;
};

}  // namespace shoal

#include "shoal/data/array_dataset.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "shoal/core/check.h"
#include "shoal/data/augmentation.h"
#include "shoal/data/picture_renderer.h"

namespace shoal {
namespace {

DatasetFacts facts_of(std::string name, const Samples& samples) {
  return {.name = std::move(name),
          .size = samples.count,
          .sample_shape = samples.shape,
          .answers = samples.answers,
          .answer_names = samples.answer_names};
}

std::size_t group_width(const Samples& samples, const Scaling& scaling) {
  const auto elements = static_cast<std::size_t>(samples.elements());
  const std::size_t groups = scaling.normalization.mean.size();
  check_equal(scaling.normalization.deviation.size(), groups, "a deviation for each mean");
  check(groups > 0 && elements % groups == 0, "groups of a sample are equally long");
  return elements / groups;
}

// Labels or targets of samples.
class Answers {
 public:
  explicit Answers(Samples& samples)
      : width_(samples.answers.count()),
        labels_(std::move(samples.labels)),
        targets_(std::move(samples.targets)) {
    const std::size_t given = samples.answers.classes > 0 ? labels_.size() : targets_.size();
    check_equal(given, static_cast<std::size_t>(samples.count * width_), "answers of all samples");
  }
  void read(std::span<const std::int64_t> rows, Batch& out) const {
    copy(labels_, rows, out.labels);
    copy(targets_, rows, out.targets);
  }

 private:
  template <typename T>
  void copy(const std::vector<T>& from, std::span<const std::int64_t> rows,
            std::vector<T>& to) const {
    if (to.empty()) return;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(from.begin() + rows[i] * width_, width_,
                  to.begin() + static_cast<std::int64_t>(i) * width_);
    }
  }

  std::int64_t width_;  // answers of a sample
  std::vector<std::int64_t> labels_;
  std::vector<float> targets_;
};

class ByteDataset : public Dataset {
 public:
  ByteDataset(std::string name, Samples samples, const Scaling& scaling)
      : Dataset(facts_of(std::move(name), samples)),
        answers_(samples),
        values_(std::move(samples.values)),
        elements_(static_cast<std::size_t>(samples.elements())),
        width_(group_width(samples, scaling)),
        tables_(byte_tables(scaling)) {
    if (sample_shape().size() == 3) renderer_.emplace(sample_shape(), scaling);
  }

  void read(std::span<const std::int64_t> ids, Batch& out) const override {
    prepare(ids, out);
    float* to = out.inputs.as<float>().data();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i + 1 < ids.size()) fetch_ahead(row(ids[i + 1]));
      const std::uint8_t* from = row(ids[i]);
      for (const ByteTable& table : tables_) {
        convert(from, to, table);
        from += width_;
        to += width_;
      }
    }
    answers_.read(ids, out);
  }

  bool has_pictures() const override { return renderer_.has_value(); }

  void read_augmented(std::span<const std::int64_t> ids, const Augmentation& augmentation,
                      Batch& out) const override {
    prepare(ids, out);
    const PictureSize size = renderer_->window();
    const PictureCut plain{.box = {.height = size.height, .width = size.width}, .resized = size};
    Resampler resampler;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const SampleAt at{.step = out.index, .row = ids[i]};
      renderer_->render(
          PictureView::planar(row(ids[i]), renderer_->channels(), size.height, size.width),
          augmentation.cut(at, size, plain, size), augmentation.colors(at), resampler,
          out.inputs.as<float>().subspan(i * elements_, elements_));
    }
    answers_.read(ids, out);
  }

 private:
  const std::uint8_t* row(std::int64_t id) const {
    return values_.as<std::uint8_t>().data() + static_cast<std::size_t>(id) * elements_;
  }

  // Shuffled rows lie where no processor guesses the next one.
  void fetch_ahead(const std::uint8_t* begin) const {
    constexpr std::size_t kLine = 64;
    constexpr std::size_t kMost = 4096;
    for (std::size_t at = 0; at < std::min(elements_, kMost); at += kLine) {
      __builtin_prefetch(begin + at);
    }
  }

  // Looking values up takes as long as storing them and, unlike arithmetic, needs no vectors.
  void convert(const std::uint8_t* from, float* to, const ByteTable& table) const {
    for (std::size_t i = 0; i < width_; ++i) to[i] = table[from[i]];
  }

  Answers answers_;
  AlignedBytes values_;
  std::size_t elements_;
  std::size_t width_;  // elements that share a table
  std::vector<ByteTable> tables_;
  std::optional<PictureRenderer> renderer_;  // of pictures
};

class FloatDataset : public Dataset {
 public:
  FloatDataset(std::string name, Samples samples, const Scaling& scaling)
      : Dataset(facts_of(std::move(name), samples)),
        answers_(samples),
        values_(std::move(samples.values)),
        elements_(static_cast<std::size_t>(samples.elements())) {
    const std::size_t width = group_width(samples, scaling);
    const auto values = values_.as<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t group = i % elements_ / width;
      values[i] = static_cast<float>(scaling.scaled(static_cast<double>(values[i]), group));
    }
  }

  void read(std::span<const std::int64_t> ids, Batch& out) const override {
    prepare(ids, out);
    const auto from = values_.as<float>();
    const auto to = out.inputs.as<float>();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      std::memcpy(to.data() + i * elements_,
                  from.data() + static_cast<std::size_t>(ids[i]) * elements_,
                  elements_ * sizeof(float));
    }
    answers_.read(ids, out);
  }

 private:
  Answers answers_;
  AlignedBytes values_;
  std::size_t elements_;
};

}  // namespace

std::unique_ptr<Dataset> make_dataset(std::string name, Samples samples, const Scaling& scaling) {
  if (samples.type == ElementType::uint8) {
    return std::make_unique<ByteDataset>(std::move(name), std::move(samples), scaling);
  }
  check(samples.type == ElementType::float32, "samples are bytes or floats");
  return std::make_unique<FloatDataset>(std::move(name), std::move(samples), scaling);
}

}  // namespace shoal

#include "shoal/cli/prediction_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <iostream>
#include <optional>

#include "shoal/checkpoint/npy.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

// A file that appears whole, or standard output.
class Output {
 public:
  explicit Output(const std::string& path) {
    if (!path.empty()) file_.emplace(path);
  }
  void write(std::string_view text) {
    if (file_) {
      file_->write(text);
    } else {
      std::cout << text;
    }
  }
  void finish() {
    if (file_) {
      file_->commit();
    } else {
      std::cout << std::flush;
    }
  }

 private:
  std::optional<AtomicFile> file_;
};

class CsvPredictions final : public PredictionWriter {
 public:
  CsvPredictions(const std::string& output, const DatasetFacts& data, int top)
      : output_(output), data_(data), top_(top) {
    output_.write(header());
  }

  void add(const at::Tensor& outputs) override {
    data_.answers.classes > 0 ? add_classes(outputs) : add_columns(outputs);
  }
  void finish() override { output_.finish(); }

 private:
  std::string header() const {
    const bool one_number = !data_.answers.yes_or_no && data_.answers.count() == 1;
    if (data_.answers.classes == 0 && one_number) return "sample,prediction\n";
    if (data_.answers.classes == 0) {
      std::string line = "sample";
      for (std::int64_t k = 0; k < data_.answers.count(); ++k) line += "," + name_of(k);
      return line + "\n";
    }
    if (top_ == 1) return "sample,label,probability\n";
    std::string line = "sample";
    for (int k = 1; k <= top_; ++k) line += fmt::format(",label_{0},probability_{0}", k);
    return line + "\n";
  }

  // Of a class, or a column.
  std::string name_of(std::int64_t number) const {
    const auto at = static_cast<std::size_t>(number);
    return at < data_.answer_names.size() ? csv_field(data_.answer_names[at])
                                          : fmt::format("{}", number);
  }

  void add_classes(const at::Tensor& outputs) {
    // A stable order, so that of equal ones the first class goes first on every machine.
    const at::Tensor last = outputs.dim() > 2 ? outputs.select(1, outputs.size(1) - 1) : outputs;
    const at::Tensor shares = at::softmax(last.to(at::kDouble), 1);
    const auto [values, classes] = at::sort(shares, /*stable=*/true, 1, /*descending=*/true);
    const auto share = values.accessor<double, 2>();
    const auto number = classes.accessor<std::int64_t, 2>();
    std::string lines;
    for (std::int64_t i = 0; i < outputs.size(0); ++i) {
      lines += fmt::format("{}", next_++);
      for (int k = 0; k < top_; ++k) {
        lines += fmt::format(",{},{:.6f}", name_of(number[i][k]), share[i][k]);
      }
      lines += '\n';
    }
    output_.write(lines);
  }

  void add_columns(const at::Tensor& outputs) {
    at::Tensor rows = outputs.to(at::kDouble).reshape({outputs.size(0), -1});
    const bool shares = data_.answers.yes_or_no;
    if (shares) rows = rows.sigmoid();
    const auto value = rows.accessor<double, 2>();
    std::string lines;
    for (std::int64_t i = 0; i < rows.size(0); ++i) {
      lines += fmt::format("{}", next_++);
      for (std::int64_t k = 0; k < rows.size(1); ++k) {
        lines += shares ? fmt::format(",{:.6f}", value[i][k]) : fmt::format(",{:.9g}", value[i][k]);
      }
      lines += '\n';
    }
    output_.write(lines);
  }

  Output output_;
  const DatasetFacts data_;
  const int top_;
  std::int64_t next_ = 0;
};

class NpyPredictions final : public PredictionWriter {
 public:
  NpyPredictions(const std::string& output, std::int64_t samples)
      : output_(output), samples_(samples) {}

  void add(const at::Tensor& outputs) override {
    const at::Tensor values = outputs.contiguous();
    if (!begun_) {
      std::vector<std::int64_t> shape = values.sizes().vec();
      shape.front() = samples_;  // these are the first of them
      output_.write(npy_header(values.scalar_type(), shape));
      begun_ = true;
    }
    output_.write(std::string_view(static_cast<const char*>(values.const_data_ptr()),
                                   static_cast<std::size_t>(values.nbytes())));
  }
  void finish() override { output_.finish(); }

 private:
  Output output_;
  const std::int64_t samples_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<PredictionWriter> csv_predictions(const std::string& output,
                                                  const DatasetFacts& data, int top) {
  const std::int64_t classes = data.answers.classes;
  if (classes == 0 && top != 1) {
    throw InvalidInput(fmt::format("--top {} is for classes, and the data has {}: leave it out",
                                   top, data.answers.text()));
  }
  if (top < 1 || (classes > 0 && top > classes)) {
    throw InvalidInput(fmt::format("--top {}: give 1 to {}, the number of classes", top, classes));
  }
  return std::make_unique<CsvPredictions>(output, data, top);
}

std::unique_ptr<PredictionWriter> npy_predictions(const std::string& output, std::int64_t samples) {
  return std::make_unique<NpyPredictions>(output, samples);
}

}  // namespace shoal

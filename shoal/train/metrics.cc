#include "shoal/train/metrics.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "shoal/core/check.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

// K of "topK"; nothing for other names.
std::optional<std::int64_t> k_of(const std::string& name) {
  if (!name.starts_with("top")) return std::nullopt;
  std::int64_t k = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 3, end, k);
  if (error != std::errc() || stop != end || k < 1) return std::nullopt;
  return k;
}

bool is_of_numbers(const std::string& name) { return name == "rmse" || name == "mae"; }

bool is_of_labels(const std::string& name) { return name == "exact_match" || name == "f1_micro"; }

bool is_known(const std::string& name) {
  return is_of_numbers(name) || is_of_labels(name) || name == "perplexity" || name == "f1" ||
         name == "auc" || k_of(name);
}

std::vector<double> to_doubles(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

// Samples whose class is among the k largest: fewer than k outputs stand before its own.
std::int64_t among_largest(const at::Tensor& output, const at::Tensor& labels, std::int64_t k) {
  const at::Tensor own = output.gather(1, labels.unsqueeze(1));
  const at::Tensor number = at::arange(output.size(1), at::kLong);
  const at::Tensor before =
      output.gt(own).logical_or_(output.eq(own).logical_and_(number < labels.unsqueeze(1)));
  return before.sum(1).lt(k).sum().item<std::int64_t>();
}

}  // namespace

std::vector<std::string> metric_problems(const std::vector<std::string>& names) {
  std::vector<std::string> faults;
  for (const std::string& name : names) {
    if (is_known(name)) continue;
    const auto meant = nearest(
        name, {"top5", "f1", "f1_micro", "auc", "perplexity", "exact_match", "rmse", "mae"});
    faults.push_back(
        fmt::format("metrics has \"{}\"{}: there are topK (top5), f1, f1_micro, auc, perplexity, "
                    "exact_match, rmse, mae",
                    name, meant ? fmt::format(", meant is \"{}\"?", *meant) : ""));
  }
  return faults;
}

std::vector<std::string> metric_problems(const std::vector<std::string>& names,
                                         const AnswerForm& answers) {
  const std::string found = answers.text();
  std::vector<std::string> faults;
  const auto refuse = [&](const std::string& name, std::string_view what) {
    faults.push_back(fmt::format("[train] metrics has \"{}\", which is for {}, and the data has {}",
                                 name, what, found));
  };
  for (const std::string& name : names) {
    const auto k = k_of(name);
    if (is_of_numbers(name)) {
      if (answers.classifies()) refuse(name, "numbers to predict");
    } else if (is_of_labels(name)) {
      if (!answers.yes_or_no) refuse(name, "labels of 0 and 1");
    } else if (k || name == "perplexity") {
      if (answers.classes == 0) refuse(name, "classes");
      if (k && answers.classes > 0 && *k >= answers.classes) {
        faults.push_back(fmt::format(
            "[train] metrics has \"{}\", which every answer meets: the data has {}", name, found));
      }
    } else if (!answers.classifies()) {
      refuse(name, "classes");
    } else if (name == "auc" && !answers.yes_or_no && answers.classes != 2) {
      refuse(name, "2 classes");
    }
  }
  return faults;
}

MetricCounts::MetricCounts(const std::vector<std::string>& names, AnswerForm answers,
                           std::int64_t samples, std::int64_t batches)
    : names_(names), answers_(std::move(answers)), samples_(samples), batches_(batches) {
  std::size_t size = 0;
  for (const std::string& name : names_) {
    begin_.push_back(size);
    size += size_of(name);
  }
  numbers_.assign(size, 0.0);
}

std::int64_t MetricCounts::columns() const {
  return answers_.yes_or_no ? answers_.count() : answers_.classes;
}

std::size_t MetricCounts::size_of(const std::string& name) const {
  if (name == "auc") {  // a score and a label each
    return 2 * static_cast<std::size_t>(samples_ * answers_.count());
  }
  if (name == "f1" || name == "f1_micro") {  // hits, answers, samples
    return 3 * static_cast<std::size_t>(columns());
  }
  return 2 * static_cast<std::size_t>(batches_);  // a sum and how many
}

void MetricCounts::add(std::int64_t batch, std::int64_t first, const at::Tensor& output,
                       const at::Tensor& targets) {
  const at::NoGradGuard no_grad;
  const std::int64_t rows = output.size(0);
  check(batch < batches_ && first + rows <= samples_, "a batch is of the set");
  // A row for each answer of a class, or for the labels or numbers of a sample.
  const at::Tensor exact =
      output.detach()
          .to(at::kDouble)
          .reshape({answers_.classes > 0 ? rows * answers_.count() : rows, -1});
  const at::Tensor wanted = answers_.classes > 0 ? targets.to(at::kLong).reshape(-1)
                                                 : targets.to(at::kDouble).reshape(exact.sizes());
  for (std::size_t i = 0; i < names_.size(); ++i) {
    double* const own = numbers_.data() + begin_[i];
    if (names_[i] == "auc") {
      const at::Tensor scores =
          answers_.yes_or_no ? exact : exact.select(1, 1) - exact.select(1, 0);
      add_scores(own + 2 * first * answers_.count(), scores, wanted);
    } else if (names_[i] == "f1" || names_[i] == "f1_micro") {
      add_hits(own, answers_.yes_or_no ? exact.gt(0) : exact.argmax(1), wanted);
    } else {
      add_mean(names_[i], own + 2 * batch, exact, wanted);
    }
  }
}

void MetricCounts::add_mean(const std::string& name, double* own, const at::Tensor& output,
                            const at::Tensor& targets) const {
  if (is_of_numbers(name)) {
    const at::Tensor error = output - targets;
    own[0] += (name == "rmse" ? error.square() : error.abs()).sum().item<double>();
    own[1] += static_cast<double>(error.numel());
    return;
  }
  if (name == "perplexity") {
    own[0] -= output.log_softmax(1).gather(1, targets.unsqueeze(1)).sum().item<double>();
  } else if (const auto k = k_of(name)) {
    own[0] += static_cast<double>(among_largest(output, targets, *k));
  } else {
    const at::Tensor right = output.gt(0).eq(targets.gt(0.5)).all(1);
    own[0] += static_cast<double>(right.sum().item<std::int64_t>());
  }
  own[1] += static_cast<double>(output.size(0));
}

void MetricCounts::add_hits(double* own, const at::Tensor& answers,
                            const at::Tensor& labels) const {
  const auto given = to_doubles(answers), right = to_doubles(labels);
  const auto wide = static_cast<std::size_t>(columns());
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (answers_.yes_or_no) {
      double* const of = own + 3 * (i % wide);
      of[0] += given[i] * right[i];
      of[1] += given[i];
      of[2] += right[i];
    } else {
      own[3 * static_cast<std::size_t>(right[i])] += given[i] == right[i] ? 1 : 0;
      own[3 * static_cast<std::size_t>(given[i]) + 1] += 1;
      own[3 * static_cast<std::size_t>(right[i]) + 2] += 1;
    }
  }
}

void MetricCounts::add_scores(double* own, const at::Tensor& scores,
                              const at::Tensor& labels) const {
  const auto score = to_doubles(scores), label = to_doubles(labels);
  for (std::size_t i = 0; i < label.size(); ++i) {
    own[2 * i] = score[i];
    own[2 * i + 1] = label[i];
  }
}

std::vector<std::pair<std::string, double>> MetricCounts::results() const {
  std::vector<std::pair<std::string, double>> all;
  for (std::size_t i = 0; i < names_.size(); ++i) all.emplace_back(names_[i], result(i));
  return all;
}

double MetricCounts::result(std::size_t metric) const {
  const std::string& name = names_[metric];
  const std::size_t begin = begin_[metric];
  if (name == "f1") return f1(begin);
  if (name == "f1_micro") return f1_micro(begin);
  if (name == "auc") {
    const std::int64_t curves = answers_.yes_or_no ? answers_.count() : 1;
    double sum = 0;
    for (std::int64_t column = 0; column < curves; ++column) sum += auc(begin, column);
    return sum / static_cast<double>(curves);
  }
  double sum = 0, count = 0;  // in the order of the batches
  for (std::int64_t batch = 0; batch < batches_; ++batch) {
    sum += numbers_[begin + static_cast<std::size_t>(2 * batch)];
    count += numbers_[begin + static_cast<std::size_t>(2 * batch + 1)];
  }
  const double mean = count > 0 ? sum / count : 0;
  if (name == "perplexity") return std::exp(mean);
  return name == "rmse" ? std::sqrt(mean) : mean;
}

double MetricCounts::f1(std::size_t begin) const {
  double sum = 0;
  int present = 0;
  for (std::int64_t label = 0; label < columns(); ++label) {
    const double* const of = numbers_.data() + begin + 3 * label;
    if (of[1] + of[2] == 0) {
      if (answers_.yes_or_no) ++present;
      continue;
    }
    ++present;
    sum += 2 * of[0] / (of[1] + of[2]);
  }
  return present > 0 ? sum / present : 0;
}

double MetricCounts::f1_micro(std::size_t begin) const {
  double hits = 0, others = 0;
  for (std::int64_t label = 0; label < columns(); ++label) {
    const double* const of = numbers_.data() + begin + 3 * label;
    hits += of[0];
    others += of[1] + of[2];
  }
  return others > 0 ? 2 * hits / others : 0;
}

// Mann and Whitney's sum of ranks; equal scores share the mean of their ranks.
double MetricCounts::auc(std::size_t begin, std::int64_t column) const {
  const bool in_columns = answers_.yes_or_no;
  const auto stride = static_cast<std::size_t>(in_columns ? answers_.count() : 1);
  const auto at = [&](std::size_t i) {
    return begin + 2 * (i * stride + static_cast<std::size_t>(column));
  };
  const auto score = [&](std::size_t i) { return numbers_[at(i)]; };
  std::vector<std::size_t> order(
      static_cast<std::size_t>(in_columns ? samples_ : samples_ * answers_.count()));
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (std::isnan(score(i))) return std::numeric_limits<double>::quiet_NaN();
  }
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return score(a) < score(b); });
  double ranks = 0, positives = 0;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    double here = 0;
    while (end < order.size() && score(order[end]) == score(order[i])) {
      here += numbers_[at(order[end]) + 1];
      ++end;
    }
    ranks += here * (static_cast<double>(i + end + 1) / 2);  // ranks count from 1
    positives += here;
    i = end;
  }
  const double negatives = static_cast<double>(order.size()) - positives;
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

}  // namespace shoal

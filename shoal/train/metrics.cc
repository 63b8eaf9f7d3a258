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

bool is_known(const std::string& name) {
  return is_of_numbers(name) || name == "f1" || name == "auc" || k_of(name);
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
    const auto meant = nearest(name, {"top5", "f1", "auc", "rmse", "mae"});
    faults.push_back(fmt::format("metrics has \"{}\"{}: there are topK (top5), f1, auc, rmse, mae",
                                 name, meant ? fmt::format(", meant is \"{}\"?", *meant) : ""));
  }
  return faults;
}

std::vector<std::string> metric_problems(const std::vector<std::string>& names,
                                         std::int64_t classes) {
  std::vector<std::string> faults;
  for (const std::string& name : names) {
    if (is_of_numbers(name) != (classes == 0)) {
      faults.push_back(
          fmt::format("[train] metrics has \"{}\", which is for {}, and the data has {}", name,
                      is_of_numbers(name) ? "numbers to predict" : "classes",
                      classes == 0 ? "numbers to predict" : fmt::format("{} classes", classes)));
    } else if (name == "auc" && classes != 2) {
      faults.push_back(fmt::format(
          "[train] metrics has \"auc\", which is for 2 classes, and the data has {}", classes));
    } else if (const auto k = k_of(name); k && *k >= classes) {
      faults.push_back(fmt::format(
          "[train] metrics has \"{}\", which every answer meets: the data has {} classes", name,
          classes));
    }
  }
  return faults;
}

MetricCounts::MetricCounts(const std::vector<std::string>& names, std::int64_t classes,
                           std::int64_t samples, std::int64_t batches)
    : names_(names), classes_(classes), samples_(samples), batches_(batches) {
  std::size_t size = 0;
  for (const std::string& name : names_) {
    begin_.push_back(size);
    if (name == "auc") {
      size += 2 * static_cast<std::size_t>(samples_);  // a score and a label each
    } else if (name == "f1") {
      size += 3 * static_cast<std::size_t>(classes_);  // hits, answers, samples
    } else {
      size += 2 * static_cast<std::size_t>(batches_);  // a sum and how many
    }
  }
  numbers_.assign(size, 0.0);
}

void MetricCounts::add(std::int64_t batch, std::int64_t first, const at::Tensor& output,
                       const at::Tensor& targets) {
  const at::NoGradGuard no_grad;
  const at::Tensor exact = output.detach().to(at::kDouble);
  const std::int64_t rows = exact.size(0);
  check(batch < batches_ && first + rows <= samples_, "a batch is of the set");
  for (std::size_t i = 0; i < names_.size(); ++i) {
    double* const own = numbers_.data() + begin_[i];
    if (is_of_numbers(names_[i])) {
      const at::Tensor error = exact - targets.to(at::kDouble).reshape(exact.sizes());
      own[2 * batch] += (names_[i] == "rmse" ? error.square() : error.abs()).sum().item<double>();
      own[2 * batch + 1] += static_cast<double>(error.numel());
    } else if (const auto k = k_of(names_[i])) {
      own[2 * batch] += static_cast<double>(among_largest(exact, targets.to(at::kLong), *k));
      own[2 * batch + 1] += static_cast<double>(rows);
    } else if (names_[i] == "f1") {
      const auto answers = to_doubles(exact.argmax(1)), labels = to_doubles(targets);
      for (std::size_t row = 0; row < labels.size(); ++row) {
        const auto answer = static_cast<std::int64_t>(answers[row]);
        const auto label = static_cast<std::int64_t>(labels[row]);
        own[3 * label] += answer == label ? 1 : 0;
        own[3 * answer + 1] += 1;
        own[3 * label + 2] += 1;
      }
    } else {
      const auto scores = to_doubles(exact.select(1, 1) - exact.select(1, 0));
      const auto labels = to_doubles(targets);
      for (std::size_t row = 0; row < labels.size(); ++row) {
        own[2 * (first + static_cast<std::int64_t>(row))] = scores[row];
        own[2 * (first + static_cast<std::int64_t>(row)) + 1] = labels[row];
      }
    }
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
  if (name == "auc") return auc(begin);
  double sum = 0, count = 0;  // in the order of the batches
  for (std::int64_t batch = 0; batch < batches_; ++batch) {
    sum += numbers_[begin + static_cast<std::size_t>(2 * batch)];
    count += numbers_[begin + static_cast<std::size_t>(2 * batch + 1)];
  }
  const double mean = count > 0 ? sum / count : 0;
  return name == "rmse" ? std::sqrt(mean) : mean;
}

double MetricCounts::f1(std::size_t begin) const {
  double sum = 0;
  int present = 0;
  for (std::int64_t label = 0; label < classes_; ++label) {
    const double* const of = numbers_.data() + begin + 3 * label;
    if (of[1] + of[2] == 0) continue;
    ++present;
    sum += 2 * of[0] / (of[1] + of[2]);
  }
  return present > 0 ? sum / present : 0;
}

// Mann and Whitney's sum of ranks; equal scores share the mean of their ranks.
double MetricCounts::auc(std::size_t begin) const {
  const auto score = [&](std::size_t sample) { return numbers_[begin + 2 * sample]; };
  std::vector<std::size_t> order(static_cast<std::size_t>(samples_));
  for (std::size_t sample = 0; sample < order.size(); ++sample) {
    if (std::isnan(score(sample))) return std::numeric_limits<double>::quiet_NaN();
  }
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return score(a) < score(b); });
  double ranks = 0, positives = 0;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    double here = 0;
    while (end < order.size() && score(order[end]) == score(order[i])) {
      here += numbers_[begin + 2 * order[end] + 1];
      ++end;
    }
    ranks += here * (static_cast<double>(i + end + 1) / 2);  // ranks count from 1
    positives += here;
    i = end;
  }
  const double negatives = static_cast<double>(samples_) - positives;
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

}  // namespace shoal

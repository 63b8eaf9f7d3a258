// What an evaluation counts beside loss and accuracy: over the whole set, the serial result to the
// bit whatever the number of workers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shoal/data/answer_form.h"

namespace shoal {

// Names as in the job's [train] metrics. For classes:
//   topK  share of samples whose class is among the K largest outputs; of equal ones the class with
//         the lower number comes first
//   f1    mean over classes of 2 hits / (samples of the class + answers that name it); a class that
//         is neither there nor answered is left out, as in scikit-learn's f1_score(average="macro")
//   auc   two classes: share of (class 1, class 0) pairs with a higher output of class 1 over class
//         0 in the former; equal ones count half. Not a number when one of the classes is missing
//   perplexity  e to the mean cross-entropy: of so many classes one chooses, as it were, at random
// Where a sample has a class at each of several positions, all of them are over positions.
// For labels of 0 and 1, of which an output above 0 (a probability above 1/2) answers 1:
//   exact_match  share of samples all of whose labels are answered right
//   f1           mean over labels of 2 hits / (samples that have it + answers 1); 0 where there are
//                neither, as in scikit-learn
//   f1_micro     the same of all labels together
//   auc          mean over labels; not a number when one of them has the same answer in all samples
// For numbers: rmse, root of the mean squared error, and mae, mean absolute error, over all of
// them.
std::vector<std::string> metric_problems(const std::vector<std::string>& names);
// With a data set of such answers.
std::vector<std::string> metric_problems(const std::vector<std::string>& names,
                                         const AnswerForm& answers);

// Counts of one evaluation: every rank adds the batches that it has run; the element-wise sum of
// all ranks' numbers() is what one rank that runs them all has, as every number is an integer or
// has one rank that adds to it. One thread.
class MetricCounts {
 public:
  // `names` without problems; `samples` of the set, cut into `batches` batches.
  MetricCounts(const std::vector<std::string>& names, AnswerForm answers, std::int64_t samples,
               std::int64_t batches);

  bool empty() const { return names_.empty(); }
  // Rows of batch `batch`, the first of which is sample `first` of the set.
  void add(std::int64_t batch, std::int64_t first, const at::Tensor& output,
           const at::Tensor& targets);
  std::span<double> numbers() { return numbers_; }
  // Name and value, in the order of the names.
  std::vector<std::pair<std::string, double>> results() const;

 private:
  double result(std::size_t metric) const;
  // What a metric keeps in numbers_, from `own` on.
  std::size_t size_of(const std::string& name) const;
  void add_mean(const std::string& name, double* own, const at::Tensor& output,
                const at::Tensor& targets) const;
  void add_hits(double* own, const at::Tensor& answers, const at::Tensor& labels) const;
  void add_scores(double* own, const at::Tensor& scores, const at::Tensor& labels) const;
  double f1(std::size_t begin) const;
  double f1_micro(std::size_t begin) const;
  double auc(std::size_t begin, std::int64_t column) const;
  // Columns of scores and hits: labels of 0 and 1, or classes.
  std::int64_t columns() const;

  std::vector<std::string> names_;
  AnswerForm answers_;
  std::int64_t samples_;
  std::int64_t batches_;
  std::vector<std::size_t> begin_;  // of each metric's part of numbers_
  std::vector<double> numbers_;
};

}  // namespace shoal

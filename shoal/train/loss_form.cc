#include "shoal/train/loss_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "shoal/core/error.h"

namespace shoal {
namespace {

std::vector<std::int64_t> samples_by_class(const Dataset& set) {
  constexpr std::int64_t kRead = 1000;  // at once
  std::vector<std::int64_t> counts(static_cast<std::size_t>(set.classes()));
  Batch batch;
  for (std::int64_t begin = 0; begin < set.size(); begin += kRead) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(std::min(kRead, set.size() - begin)));
    std::iota(ids.begin(), ids.end(), begin);
    set.read(ids, batch);
    for (const std::int64_t label : batch.labels) ++counts.at(static_cast<std::size_t>(label));
  }
  return counts;
}

// A class without samples weighs nothing: nothing is known of it.
std::vector<double> balanced(const Dataset& set) {
  std::vector<double> weights;
  for (const std::int64_t count : samples_by_class(set)) {
    weights.push_back(count == 0 ? 0
                                 : static_cast<double>(set.size()) /
                                       static_cast<double>(set.classes() * count));
  }
  return weights;
}

}  // namespace

LossForm loss_form(const TrainOptions& options, LossKind kind, const Dataset& training) {
  LossForm form{.label_smoothing = options.label_smoothing, .huber_delta = options.huber_delta};
  const bool has_weights = options.class_weights != "none";
  if (kind != LossKind::cross_entropy) {
    std::vector<std::string> faults;
    const auto refuse = [&](const char* name) {
      faults.push_back(
          fmt::format("[train] {} is for classes, and {} has numbers to predict: leave it out",
                      name, training.name()));
    };
    if (options.label_smoothing != 0) refuse("label_smoothing");
    if (has_weights) refuse("class_weights");
    require_none(std::move(faults));
    return form;
  }
  if (options.class_weights == "balanced") form.class_weights = balanced(training);
  if (options.class_weights.is_array()) {
    options.class_weights.get_to(form.class_weights);
    if (static_cast<std::int64_t>(form.class_weights.size()) != training.classes()) {
      throw InvalidInput(fmt::format("[train] class_weights has {} weights, and {} has {} classes",
                                     form.class_weights.size(), training.name(),
                                     training.classes()));
    }
  }
  return form;
}

}  // namespace shoal

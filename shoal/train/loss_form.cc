#include "shoal/train/loss_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "shoal/core/error.h"

namespace shoal {
namespace {

// Hands over all samples, some at a time.
void read_all_of(const Dataset& set, const std::function<void(const Batch&)>& take) {
  constexpr std::int64_t kRead = 1000;  // at once
  Batch batch;
  for (std::int64_t begin = 0; begin < set.size(); begin += kRead) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(std::min(kRead, set.size() - begin)));
    std::iota(ids.begin(), ids.end(), begin);
    set.read(ids, batch);
    take(batch);
  }
}

// A class without samples weighs nothing: nothing is known of it.
std::vector<double> balanced_classes(const Dataset& set) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(set.classes()));
  read_all_of(set, [&](const Batch& batch) {
    for (const std::int64_t label : batch.labels) ++counts.at(static_cast<std::size_t>(label));
  });
  const auto answers = static_cast<double>(set.size() * set.answers().count());
  std::vector<double> weights;
  for (const std::int64_t count : counts) {
    weights.push_back(count == 0 ? 0 : answers / static_cast<double>(set.classes() * count));
  }
  return weights;
}

// Of a label that no sample has, 1: it is not in the loss.
std::vector<double> balanced_labels(const Dataset& set) {
  std::vector<std::int64_t> with(static_cast<std::size_t>(set.answers().count()));
  read_all_of(set, [&](const Batch& batch) {
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
      if (batch.targets[i] > 0.5F) ++with[i % with.size()];
    }
  });
  std::vector<double> weights;
  for (const std::int64_t count : with) {
    weights.push_back(
        count == 0 ? 1 : static_cast<double>(set.size() - count) / static_cast<double>(count));
  }
  return weights;
}

std::vector<double> weights_of(const char* name, const nlohmann::json& given,
                               const Dataset& training, std::int64_t wanted,
                               std::vector<double> (*balanced)(const Dataset&)) {
  if (given == "none") return {};
  if (given == "balanced") return balanced(training);
  auto weights = given.get<std::vector<double>>();
  if (static_cast<std::int64_t>(weights.size()) != wanted) {
    throw InvalidInput(fmt::format("[train] {} has {} weights, and {} has {}", name, weights.size(),
                                   training.name(), training.answers().text()));
  }
  return weights;
}

// Settings of another kind of loss.
void refuse_others(const TrainOptions& options, LossKind kind, const Dataset& training) {
  std::vector<std::string> faults;
  const auto refuse = [&](const char* name, const char* what) {
    faults.push_back(fmt::format("[train] {} is for {}, and {} has {}: leave it out", name, what,
                                 training.name(), training.answers().text()));
  };
  if (kind != LossKind::cross_entropy) {
    if (options.label_smoothing != 0) refuse("label_smoothing", "classes");
    if (options.class_weights != "none") refuse("class_weights", "classes");
  }
  if (kind != LossKind::binary_cross_entropy && options.pos_weight != "none") {
    refuse("pos_weight", "labels of 0 and 1");
  }
  require_none(std::move(faults));
}

}  // namespace

LossForm loss_form(const TrainOptions& options, LossKind kind, const Dataset& training) {
  refuse_others(options, kind, training);
  return {.label_smoothing = options.label_smoothing,
          .class_weights = weights_of("class_weights", options.class_weights, training,
                                      training.classes(), balanced_classes),
          .pos_weight = weights_of("pos_weight", options.pos_weight, training,
                                   training.answers().count(), balanced_labels),
          .huber_delta = options.huber_delta};
}

}  // namespace shoal

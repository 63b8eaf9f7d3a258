#include "shoal/train/train_options.h"

#include <fmt/format.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/train/metrics.h"

namespace shoal {
namespace {

// A number, or "all" where other options have "none".
Option batch_option(std::optional<std::int64_t>& field, std::string help) {
  Option made = option("batch", field, std::move(help));
  made.type = "integer or \"all\"";
  made.set = [&field, number = made.set](const nlohmann::json& value) {
    if (value == "all") {
      field.reset();
      return;
    }
    if (!value.is_number_integer()) {
      throw InvalidInput(fmt::format("expected an integer or \"all\", got {}", value.dump()));
    }
    number(value);
  };
  made.get = [&field] { return field ? nlohmann::json(*field) : nlohmann::json("all"); };
  return made;
}

bool are_weights(const nlohmann::json& value) {
  if (value == "none" || value == "balanced") return true;
  if (!value.is_array()) return false;
  bool any = false;
  for (const nlohmann::json& weight : value) {
    if (!weight.is_number() || !(weight.get<double>() >= 0)) return false;
    any = any || weight.get<double>() > 0;
  }
  return any;
}

// What gives the loss its form.
std::vector<Option> entries_of_loss(TrainOptions& o) {
  return {
      option("label_smoothing", o.label_smoothing,
             "cross_entropy, while training: this share of a target is spread evenly over all "
             "classes."),
      option("class_weights", o.class_weights,
             "cross_entropy, while training: how much a sample counts by its class. \"none\": 1; "
             "\"balanced\": samples / (classes x samples of the class), counted in the training "
             "part; or "
             "a list, one a class."),
      option("pos_weight", o.pos_weight,
             "binary_cross_entropy, while training: how much a label's 1 counts beside its 0. "
             "\"none\": as "
             "much; \"balanced\": samples without the label / samples with it, counted in the "
             "training "
             "part; or a list, one a label."),
      only_with({"model.loss", {"huber"}},
                option("huber_delta", o.huber_delta, "Squared up to this error, linear beyond."))};
}

}  // namespace

std::vector<std::string> TrainOptions::problems() const {
  std::vector<std::string> faults;
  const auto at_least = [&](const char* name, std::int64_t value, std::int64_t least) {
    if (value < least) {
      faults.push_back(fmt::format("[train] {} is {}: give {} or more", name, value, least));
    }
  };
  at_least("epochs", epochs, 1);
  if (steps) at_least("steps", *steps, 1);
  if (batch) at_least("batch", *batch, 1);
  at_least("evaluate_batch", evaluate_batch, 1);
  at_least("evaluate_every", evaluate_every, 0);
  for (const auto& fault : metric_problems(metrics)) faults.push_back("[train] " + fault);
  at_least("non_finite_limit", non_finite_limit, 1);
  if (!(label_smoothing >= 0 && label_smoothing < 1)) {
    faults.push_back(fmt::format("[train] label_smoothing is {}: give at least 0 and less than 1",
                                 label_smoothing));
  }
  if (!(huber_delta > 0 && std::isfinite(huber_delta))) {
    faults.push_back(fmt::format("[train] huber_delta is {}: give a positive number", huber_delta));
  }
  if (!are_weights(class_weights)) {
    faults.push_back(fmt::format(
        "[train] class_weights is {}: give \"none\", \"balanced\" or a list of numbers of 0 or "
        "more, one a class and not all 0",
        class_weights.dump()));
  }
  if (!are_weights(pos_weight)) {
    faults.push_back(
        fmt::format("[train] pos_weight is {}: give \"none\", \"balanced\" or a list of numbers of "
                    "0 or more, one a label and not all 0",
                    pos_weight.dump()));
  }
  for (const auto& fault : optimizer.problems()) faults.push_back("[train] " + fault);
  for (const auto& fault : rate.problems()) faults.push_back("[train] " + fault);
  if (ema_decay && !(*ema_decay >= 0 && *ema_decay < 1)) {
    faults.push_back(
        fmt::format("[train] ema_decay is {}: give at least 0 and less than 1", *ema_decay));
  }
  for (const auto& fault : early_stop.problems()) faults.push_back("[train] " + fault);
  if (early_stop.patience > 0 && evaluate_every == 0) {
    faults.emplace_back(
        "[train] early_stop_patience waits for evaluations, and there are none: set evaluate_every "
        "to 1 epoch or more");
  }
  return faults;
}

OptionTable describe(TrainOptions& o) {
  OptionTable table{
      "train",
      "How long and with what to train.",
      {
          option("epochs", o.epochs, "Passes over the training set."),
          option("steps", o.steps, "Updates; takes the place of epochs."),
          batch_option(o.batch,
                       "Samples per update, over all workers; \"all\": every training sample, one "
                       "update an epoch."),
          option("evaluate", o.evaluate, "Evaluate on the test set at the end."),
          option("evaluate_every", o.evaluate_every,
                 "Epochs between two evaluations on the validation set; 0: none."),
          option("evaluate_batch", o.evaluate_batch,
                 "Samples per batch of an evaluation; results do not depend on the workers."),
          option(
              "metrics", o.metrics,
              "What evaluations count beside loss and accuracy. For classes: topK (top5: the class "
              "is among the 5 largest outputs), f1 (macro), auc (2 classes), perplexity; for "
              "labels of 0 and 1: exact_match (all of a sample's are right), f1 (macro), f1_micro, "
              "auc (mean over "
              "labels); for numbers: rmse, mae."),
          choice("precision", o.precision,
                 {{"fp32", Precision::fp32},
                  {"fp64", Precision::fp64},
                  {"bf16", Precision::bf16},
                  {"fp16", Precision::fp16}},
                 "Numbers: bf16 and fp16 keep weights in float32 and compute in bfloat16 or "
                 "float16, fp16 with dynamic loss scaling."),
          choice(
              "non_finite", o.non_finite, {{"stop", NonFinite::stop}, {"skip", NonFinite::skip}},
              "A step whose loss is not finite is never applied. stop: the run ends, naming step "
              "and block; skip: it goes on with the next batch, gradients are looked at too, and "
              "running statistics are put back."),
          only_with({"non_finite", {"skip"}}, option("non_finite_limit", o.non_finite_limit,
                                                     "So many steps in a row may be skipped.")),
      }};
  for (auto& entry : entries_of_loss(o)) table.options.push_back(std::move(entry));
  for (auto& entry : entries(o.optimizer)) table.options.push_back(std::move(entry));
  for (auto& entry : entries(o.rate)) table.options.push_back(std::move(entry));
  table.options.push_back(
      option("ema_decay", o.ema_decay,
             "Keeps a moving average of the weights, with this share of the old one at each update "
             "(0.999 and the like): evaluations use it, and checkpoints keep it beside the "
             "weights."));
  for (auto& entry : entries(o.early_stop)) table.options.push_back(std::move(entry));
  return table;
}

std::size_t states_per_parameter(const TrainOptions& options) {
  return state_names(options.optimizer).size() + (options.ema_decay ? 1 : 0);
}

OptionTable describe(ParallelOptions& o) {
  return {
      "parallel",
      "The workers as a mesh with named axes, and what is split over which.",
      {
          option("mesh", o.mesh,
                 "Axes and sizes, for example { pipe = 2, data = 2 }; the product is the number of "
                 "workers. Without it all workers form one axis \"data\"."),
          option("layout", o.layout,
                 "Dimension -> axis, for example { batch = \"data\" }, which is the default."),
      }};
}

std::vector<std::string> ExecuteOptions::problems() const {
  if (threads >= 1) return {};
  return {fmt::format("[execute] threads is {}: give 1 or more", threads)};
}

OptionTable describe(ExecuteOptions& o) {
  return {"execute",
          "How a worker uses its cores.",
          {
              option("threads", o.threads,
                     "Threads inside one operation; 1 is best with a worker a core."),
              choice("device", o.device, {{"cpu", "cpu"}, {"cuda", "cuda"}},
                     "Where workers compute; cuda: worker i of a host on GPU i of those in sight, "
                     "counted around. Needs a LibTorch with CUDA."),
              option("pin", o.pin, "Keep each worker on cores of its own while there is one each."),
              choice("lanes", o.lanes,
                     {{"auto", LanePolicy::automatic},
                      {"threads", LanePolicy::threads},
                      {"inline", LanePolicy::in_line}},
                     "Whether collectives run beside compute; auto: with a core to spare or over a "
                     "network."),
          }};
}

}  // namespace shoal

#include "shoal/train/train_options.h"

#include <fmt/format.h>

namespace shoal {
std::vector<std::string> TrainOptions::problems() const {
  std::vector<std::string> faults;
  const auto at_least = [&](const char* name, std::int64_t value, std::int64_t least) {
    if (value < least) {
      faults.push_back(fmt::format("[train] {} is {}: give {} or more", name, value, least));
    }
  };
  at_least("epochs", epochs, 1);
  if (steps) at_least("steps", *steps, 1);
  at_least("batch", batch, 1);
  at_least("evaluate_batch", evaluate_batch, 1);
  at_least("evaluate_every", evaluate_every, 0);
  for (const auto& fault : optimizer.problems()) faults.push_back("[train] " + fault);
  for (const auto& fault : rate.problems()) faults.push_back("[train] " + fault);
  return faults;
}

OptionTable describe(TrainOptions& o) {
  OptionTable table{
      "train",
      "How long and with what to train.",
      {
          option("epochs", o.epochs, "Passes over the training set."),
          option("steps", o.steps, "Updates; takes the place of epochs."),
          option("batch", o.batch, "Samples per update, over all workers."),
          option("evaluate", o.evaluate, "Evaluate on the test set at the end."),
          option("evaluate_every", o.evaluate_every,
                 "Epochs between two evaluations on the validation set; 0: none."),
          option("evaluate_batch", o.evaluate_batch,
                 "Samples per batch of an evaluation; results do not depend on the workers."),
          choice("precision", o.precision,
                 {{"fp32", Precision::fp32}, {"fp64", Precision::fp64}, {"bf16", Precision::bf16}},
                 "Numbers: bf16 keeps weights in float32 and computes in bfloat16."),
      }};
  for (auto& entry : entries(o.optimizer)) table.options.push_back(std::move(entry));
  for (auto& entry : entries(o.rate)) table.options.push_back(std::move(entry));
  return table;
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

// Where the chain is cut into stages.
#include <algorithm>

#include "shoal/core/check.h"
#include "shoal/program/compile.h"
#include "shoal/program/op_maker.h"
#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

double seconds(const WorkFacts& work, std::int64_t samples) {
  return work.core.at(samples) + work.wait.at(samples);
}

// By block: seconds for a micro-batch; elements of parameters when no costs are known; else 1.
std::vector<double> costs_of(const std::vector<BlockFacts>& blocks, std::int64_t samples) {
  const int lowest = lowest_trainable(blocks);
  std::vector<double> by_time, by_size;
  for (int b = 0; b < std::ssize(blocks); ++b) {
    const double back = b >= lowest ? seconds(blocks[b].backward, samples) : 0;
    by_time.push_back(std::max(0.0, seconds(blocks[b].forward, samples) + back));
    double elements = 0;
    for (const ParameterFacts& parameter : blocks[b].parameters) {
      elements += static_cast<double>(parameter.elements());
    }
    by_size.push_back(elements);
  }
  const auto known = [](const std::vector<double>& costs) {
    return std::any_of(costs.begin(), costs.end(), [](double cost) { return cost > 0; });
  };
  if (known(by_time)) return by_time;
  if (known(by_size)) return by_size;
  return std::vector<double>(blocks.size(), 1.0);
}

// Fills stages from the front up to `most` each, leaving a block for every later stage. Empty when
// the last stage would hold more.
std::vector<int> fill(const std::vector<double>& costs, int stages, double most) {
  std::vector<int> starts;
  int block = 0;
  const int count = static_cast<int>(costs.size());
  for (int stage = 0; stage < stages; ++stage) {
    starts.push_back(block);
    const int later = stages - 1 - stage;
    double sum = costs[block++];
    if (sum > most) return {};
    while (block < count - later && sum + costs[block] <= most) sum += costs[block++];
  }
  if (block < count) return {};
  return starts;
}

}  // namespace

std::vector<int> stage_starts(const std::vector<BlockFacts>& blocks, const Plan& plan) {
  const int stages = plan.stages();
  if (stages == 1) return {0};
  if (!plan.pipeline.cuts.empty()) {
    std::vector<int> starts = {0};
    for (const std::int64_t cut : plan.pipeline.cuts) starts.push_back(static_cast<int>(cut));
    return starts;
  }
  check(stages <= std::ssize(blocks), "every stage has a block");
  const std::vector<double> costs =
      costs_of(frozen(blocks, plan.freeze), plan.largest_micro_batch());
  // Bisection on the largest stage cost; 60 halvings leave nothing a double could tell apart.
  double low = 0, high = 0;
  for (const double cost : costs) high += cost;
  high *= 1 + 1e-12;  // sums in another order may round up
  std::vector<int> best = fill(costs, stages, high);
  for (int i = 0; i < 60; ++i) {
    const double middle = low + (high - low) / 2;
    std::vector<int> starts = fill(costs, stages, middle);
    if (starts.empty()) {
      low = middle;
    } else {
      high = middle;
      best = std::move(starts);
    }
  }
  return best;
}

}  // namespace shoal

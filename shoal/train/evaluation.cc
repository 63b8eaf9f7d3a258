#include "shoal/train/evaluation.h"

#include <vector>

#include "shoal/train/batch_feed.h"
#include "shoal/train/metrics.h"

namespace shoal {
namespace {

constexpr std::size_t kSums = 3;  // loss, weight, correct

StepBatch read_batch(const Dataset& set, const std::vector<std::int64_t>& ids,
                     at::ScalarType type) {
  auto batch = std::make_shared<Batch>();
  set.read(ids, *batch);
  return as_tensors(std::move(batch), type);
}

}  // namespace

EvaluationReport evaluate_set(Executor& executor, const PreparedJob& prepared, int rank,
                              const Dataset& set, const std::string& name) {
  const BatchPart part = batch_part(prepared.programs.plan, rank);
  const EvaluationBatches batches(set.size(), prepared.job.train.evaluate_batch, part.parts);
  const at::ScalarType type = parameter_type(prepared.job.train.precision);

  // A slot per batch, filled by the one rank that has its loss: the sum over ranks adds zeros only.
  std::vector<double> slots(static_cast<std::size_t>(batches.count()) * kSums, 0.0);
  MetricCounts metrics(prepared.job.train.metrics, set.answers(), set.size(), batches.count());
  for (std::int64_t round = 0; round < batches.rounds(); ++round) {
    const auto batch = batches.batch_of(round, part.index);
    if (!batch) continue;  // the last round has none for some parts
    std::int64_t first = batches.samples(*batch).begin;
    const RunInput input{
        .step = *batch,
        .rate = 0,
        .batches = [&](Deadline) { return read_batch(set, batches.ids(round, part.index), type); },
        .outputs =
            [&](const at::Tensor& output, const at::Tensor& targets) {
              metrics.add(*batch, first, output, targets);
              first += output.size(0);
            },
        .requests = {}};
    const Agreement sums = executor.evaluate(input);
    double* slot = slots.data() + static_cast<std::size_t>(*batch) * kSums;
    slot[0] = sums.loss_sum;
    slot[1] = sums.weight;
    slot[2] = sums.correct;
  }
  std::vector<Buffer> all{buffer(std::span(slots))};
  if (!metrics.empty()) all.push_back(buffer(metrics.numbers()));
  executor.world_group().all_reduce(all, ReduceOp::sum,
                                    Deadline::after_seconds(prepared.job.comm.collective_seconds));

  double loss = 0, weight = 0, correct = 0;
  for (std::size_t i = 0; i < slots.size(); i += kSums) {
    loss += slots[i];
    weight += slots[i + 1];
    correct += slots[i + 2];
  }
  const auto answers = static_cast<double>(set.size() * set.answers().count());
  return {.set = name,
          .loss = weight > 0 ? loss / weight : 0,
          .accuracy = answers > 0 ? correct / answers : 0,
          .classifies = set.answers().classifies(),
          .positions = set.classes() > 0 ? set.answers().count() : 1,
          .samples = set.size(),
          .metrics = metrics.results()};
}

}  // namespace shoal

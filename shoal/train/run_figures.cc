#include "shoal/train/run_figures.h"

#include <algorithm>
#include <numeric>

#include "shoal/core/statistics.h"
#include "shoal/train/batch_feed.h"

namespace shoal {
namespace {

Deadline collective_deadline(const World& world) {
  return Deadline::after_seconds(world.options().collective_seconds);
}

// One value of each rank, by rank.
std::vector<double> gather(Group& group, double own, Deadline deadline) {
  std::vector<double> all(static_cast<std::size_t>(group.size()));
  group.all_gather(buffer(std::span<const double>(&own, 1)), buffer(std::span(all)), deadline);
  return all;
}

std::vector<std::int64_t> gather_bytes(Group& group, std::int64_t own, Deadline deadline) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(group.size()));
  group.all_gather(buffer(std::span<const std::int64_t>(&own, 1)), buffer(std::span(all)),
                   deadline);
  return all;
}

}  // namespace

std::int64_t steps_per_epoch(const PreparedJob& prepared) {
  return make_sampler(prepared).batches_per_epoch();
}

std::vector<std::string> gather_texts(Group& world, const std::string& own, Deadline deadline) {
  const auto sizes = gather_bytes(world, static_cast<std::int64_t>(own.size()), deadline);
  std::vector<std::string> texts;
  if (world.rank() != 0) {
    std::vector<std::uint8_t> bytes(own.begin(), own.end());
    world.send(buffer(std::span<const std::uint8_t>(bytes)), 0, deadline);
    return texts;
  }
  texts.push_back(own);
  for (int rank = 1; rank < world.size(); ++rank) {
    std::vector<std::uint8_t> bytes(
        static_cast<std::size_t>(sizes[static_cast<std::size_t>(rank)]));
    world.receive(buffer(std::span(bytes)), rank, deadline);
    texts.emplace_back(bytes.begin(), bytes.end());
  }
  return texts;
}

void RunFigures::add(const StepReport& step, const TimeShares& before, const TimeShares& after) {
  steps.push_back(step);
  if (steps.size() == 1) return;  // the first step warms up
  shares.compute += after.compute - before.compute;
  shares.communication += after.communication - before.communication;
  shares.data += after.data - before.data;
  shares.total += step.seconds;
}

RunReport RunFigures::report(const PreparedJob& prepared, World& world, Executor& executor,
                             std::int64_t peak_tensor_bytes, std::int64_t memory_bound) const {
  RunReport report;
  report.model = model_title(prepared.job.model);
  report.parameters = parameter_count(prepared.programs.blocks);
  report.workers = world.size();
  report.mesh = prepared.programs.plan.mesh.axes();
  report.evaluations = evaluations;
  std::vector<double> seconds;
  std::int64_t samples = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    report.loss.push_back(steps[i].loss);
    if (i == 0) continue;
    seconds.push_back(steps[i].seconds);
    samples += steps[i].samples;
  }
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  if (total > 0) report.samples_per_second = static_cast<double>(samples) / total;
  report.step_p50 = quantile(seconds, 0.5);
  report.step_p99 = quantile(seconds, 0.99);
  report.step_seconds = seconds;
  if (!steps.empty()) {
    report.start_seconds = std::chrono::duration<double>(first_step_done - launched).count();
  }
  double busy = 0;
  if (shares.total > 0) {
    busy = shares.compute / shares.total;
    report.share_compute = busy;
    report.share_communication = shares.communication / shares.total;
    report.share_data = shares.data / shares.total;
    report.share_other =
        std::max(0.0, 1 - report.share_compute - report.share_communication - report.share_data);
  }
  Group& group = executor.world_group();
  const Deadline deadline = collective_deadline(world);
  const auto sent = static_cast<std::int64_t>(executor.bytes_sent());
  report.bytes_sent = gather_bytes(group, sent, deadline);
  report.peak_tensor_bytes = gather_bytes(group, peak_tensor_bytes, deadline);
  report.memory_bound = gather_bytes(group, memory_bound, deadline);
  report.busy = gather(group, busy, deadline);
  return report;
}

}  // namespace shoal

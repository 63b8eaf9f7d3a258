#include "shoal/program/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "shoal/core/error.h"
#include "shoal/program/name_pattern.h"

namespace shoal {
namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

Option integers(std::string name, std::vector<std::int64_t>& field, std::string help) {
  Option option;
  option.type = "list of integers";
  option.help = std::move(help);
  option.shown_default = nlohmann::json(field).dump();
  option.set = [name, &field](const nlohmann::json& value) {
    const bool fits =
        value.is_array() && std::all_of(value.begin(), value.end(),
                                        [](const auto& v) { return v.is_number_integer(); });
    if (!fits) {
      throw InvalidInput(
          fmt::format("{} must be a list of integers such as [2, 4], not {}", name, value.dump()));
    }
    field = value.get<std::vector<std::int64_t>>();
  };
  option.get = [&field] { return nlohmann::json(field); };
  option.name = std::move(name);
  return option;
}

void append(std::vector<std::string>& faults, std::vector<std::string> more) {
  for (std::string& fault : more) faults.push_back(std::move(fault));
}

// Workers that see the same samples would be counted twice by Agree, and blocks cannot yet split
// what is not a sample: every axis is the pipeline's or the batch's.
std::vector<std::string> axis_problems(const Mesh& mesh, const Layout& layout) {
  std::vector<std::string> faults;
  const std::vector<std::string> batch_axes = layout.axes_of("batch", mesh);
  for (const auto& [axis, size] : mesh.axes()) {
    if (axis == "pipe" || size == 1) continue;
    if (std::find(batch_axes.begin(), batch_axes.end(), axis) != batch_axes.end()) continue;
    faults.push_back(fmt::format(
        "axis '{}' of the mesh ({} workers) does not split the batch: give layout = {{ batch = "
        "[..., \"{}\"] }}, or take the axis out of the mesh",
        axis, size, axis));
  }
  for (const auto& [dim, axes] : layout.axes_of_dim) {
    if (dim != "batch" && !layout.axes_of(dim, mesh).empty()) {
      faults.push_back(fmt::format(
          "layout splits '{}', but blocks hold whole tensors: only 'batch' can be split", dim));
    }
    if (std::find(axes.begin(), axes.end(), "pipe") == axes.end()) continue;
    faults.push_back(
        fmt::format("layout splits '{}' over axis 'pipe', whose workers hold different blocks: use "
                    "another axis",
                    dim));
  }
  return faults;
}

}  // namespace

std::vector<std::string> DataParallelOptions::problems() const {
  if (bucket_bytes >= 1) return {};
  return {fmt::format("data_parallel.bucket_bytes is {}: give 1 or more", bucket_bytes)};
}

std::vector<std::string> PipelineOptions::problems() const {
  std::vector<std::string> faults;
  if (micro_batches < 1) {
    faults.push_back(fmt::format("pipeline.microbatches is {}: give 1 or more", micro_batches));
  }
  std::int64_t before = 0;  // block 0 begins stage 0
  for (const std::int64_t cut : cuts) {
    if (cut <= before) {
      faults.push_back(fmt::format(
          "pipeline.cuts has {} after {}: each stage begins at a higher block than the one before, "
          "and stage 0 begins at block 0 without a cut",
          cut, before));
    }
    before = cut;
  }
  return faults;
}

std::vector<std::string> RecomputeOptions::problems() const {
  if (mode != RecomputeMode::every || every >= 1) return {};
  return {fmt::format("recompute.every is {}: give 1 block a segment or more", every)};
}

std::vector<std::string> FreezeOptions::problems() const {
  std::vector<std::string> faults;
  if (blocks < 0) faults.push_back(fmt::format("freeze.blocks is {}: give 0 or more", blocks));
  for (const std::string& name : parameters) {
    if (!is_name_pattern(name)) {
      faults.push_back(fmt::format(
          "freeze.parameters has \"{}\": give a parameter's name, or its beginning and one '*'",
          name));
    }
  }
  return faults;
}

int Plan::batch_parts() const {
  int parts = 1;
  for (const std::string& axis : layout.axes_of("batch", mesh)) parts *= mesh.axis_size(axis);
  return parts;
}

std::int64_t Plan::largest_part() const { return divide_up(batch, batch_parts()); }

std::int64_t Plan::largest_micro_batch() const {
  return divide_up(largest_part(), std::max(1, pipeline.micro_batches));
}

std::vector<std::string> Plan::problems() const {
  std::vector<std::string> faults = layout.problems(mesh);
  append(faults, axis_problems(mesh, layout));
  if (batch < 1) faults.push_back(fmt::format("train.batch is {}: give 1 sample or more", batch));
  append(faults, data_parallel.problems());
  append(faults, pipeline.problems());
  append(faults, recompute.problems());
  append(faults, freeze.problems());
  if (!pipeline.cuts.empty() && std::ssize(pipeline.cuts) != stages() - 1) {
    faults.push_back(
        fmt::format("pipeline.cuts has {} entries, but axis 'pipe' has {} stages: give {} cuts, or "
                    "none to have "
                    "the stages balanced",
                    pipeline.cuts.size(), stages(), stages() - 1));
  }
  return faults;
}

OptionTable describe(DataParallelOptions& options) {
  return {"data_parallel",
          "Sums gradients over the workers that saw other samples, while backward goes on.",
          {option("bucket_bytes", options.bucket_bytes,
                  "Gradients are reduced in buckets of about this many bytes. Small ones start "
                  "earlier, large ones pay a collective's fixed cost less often.")}};
}

OptionTable describe(PipelineOptions& options) {
  return {"pipeline",
          "Cuts the chain into one stage per worker of axis \"pipe\", and the batch into "
          "micro-batches.",
          {option("microbatches", options.micro_batches,
                  "Micro-batches per batch; without stages, gradients are accumulated over them. "
                  "More of them idle less and need less memory, but compute less efficiently."),
           choice("schedule", options.schedule,
                  {{"vanilla", PipelineSchedule::vanilla}, {"gpipe", PipelineSchedule::gpipe}},
                  "Order of forward and backward: \"vanilla\" sends one micro-batch at a time "
                  "through all stages, \"gpipe\" all forward, then all backward."),
           integers("cuts", options.cuts,
                    "First block of stages 1, 2, ...; empty: cut so that the stages' costs are "
                    "balanced.")}};
}

OptionTable describe(RecomputeOptions& options) {
  Option every =
      option("every", options.every, "Blocks per segment; given alone it turns recomputation on.");
  every.set = [set = every.set, &options](const nlohmann::json& value) {
    set(value);
    if (options.mode == RecomputeMode::none) options.mode = RecomputeMode::every;
  };
  return {"recompute",
          "Keeps less for backward and runs forward again where it is needed.",
          {choice("mode", options.mode,
                  {{"none", RecomputeMode::none},
                   {"all", RecomputeMode::all},
                   {"sqrt", RecomputeMode::sqrt},
                   {"every", RecomputeMode::every}},
                  "Only the inputs of segments are kept: segments of one block (\"all\"), of about "
                  "the square root of the number of blocks (\"sqrt\"), or of `every` blocks "
                  "(\"every\")."),
           std::move(every)}};
}

OptionTable describe(FreezeOptions& options) {
  return {"freeze",
          "Leaves part of the model as it is.",
          {option("blocks", options.blocks,
                  "The lowest blocks are not trained: no backward, no gradients, no optimizer "
                  "state for them."),
           option("parameters", options.parameters,
                  "Parameters that are not trained: names, or beginnings of names and '*'.")}};
}

}  // namespace shoal

#include "shoal/train/prepared_job.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"
#include "shoal/program/verify.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

nlohmann::json read_json(const std::string& path) {
  const std::string text = read_file(path);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw InvalidInput(fmt::format("{} is not JSON: {}", path, error.what()));
  }
}

// Programs from a file take the plan's place only when all ranks' lists fit together.
void replace_programs(Programs& programs, const std::string& path) {
  auto edited = programs_from_json(read_json(path), path);
  std::vector<std::string> faults;
  for (const auto& [name, by_rank] : edited) {
    if (by_rank.size() != static_cast<std::size_t>(programs.plan.mesh.size())) {
      faults.push_back(fmt::format("{}: program '{}' is for {} ranks, the job has {}", path, name,
                                   by_rank.size(), programs.plan.mesh.size()));
      continue;
    }
    for (const auto& fault : verify(by_rank, programs.blocks, programs.plan)) {
      faults.push_back(fmt::format("{}: program '{}': {}", path, name, fault));
    }
  }
  require_none(std::move(faults));
  for (auto& [name, by_rank] : edited) programs.named[name] = std::move(by_rank);
}

std::vector<BlockFacts> measured_facts(const Job& job, const Plan& plan, const Dataset& train,
                                       const Chain& chain, const PrepareOptions& options) {
  const at::ScalarType type = parameter_type(job.train.precision);
  const std::vector<ActivationFacts> input{{.name = "x",
                                            .sample_shape = train.sample_shape(),
                                            .type = element_type(type),
                                            .differentiable = false}};
  return record_facts(chain, input,
                      {.type = type,
                       .autocast_bf16 = job.train.precision == Precision::bf16,
                       .measure_costs = options.measure_costs,
                       .cost_samples = plan.largest_micro_batch()});
}

}  // namespace

at::ScalarType parameter_type(Precision precision) {
  return precision == Precision::fp64 ? at::kDouble : at::kFloat;
}

std::string model_title(const ModelOptions& model) {
  if (!model.name.empty()) return model.name;
  return fmt::format("chain of {} blocks", model.layers.size());
}

std::int64_t parameter_count(const std::vector<BlockFacts>& blocks) {
  std::int64_t count = 0;
  for (const auto& block : blocks) {
    for (const auto& parameter : block.parameters) count += parameter.elements();
  }
  return count;
}

PreparedJob prepare(const Job& job, int workers, const PrepareOptions& options) {
  (void)job.plan(workers);  // refused before the data is read
  std::vector<DataSpan> spans;
  DataSplits data = open_data(job.data, static_cast<std::uint64_t>(job.seed),
                              [&](const DataSpan& span) { spans.push_back(span); });
  Chain chain = make_chain(job.model, {.sample_shape = data.train->sample_shape(),
                                       .classes = static_cast<int>(data.train->classes()),
                                       .targets = 1});
  PreparedJob prepared = prepare(job, std::move(data), std::move(chain), workers, options);
  prepared.data_spans = std::move(spans);
  return prepared;
}

PreparedJob prepare(const Job& job, DataSplits data, Chain chain, int workers,
                    const PrepareOptions& options) {
  const Plan plan = job.plan(workers);
  const std::vector<BlockFacts> facts =
      options.facts_file.empty()
          ? measured_facts(job, plan, *data.train, chain, options)
          : facts_from_json(read_json(options.facts_file), options.facts_file);
  PreparedJob prepared{.job = job,
                       .data = std::move(data),
                       .chain = std::move(chain),
                       .programs = compile(facts, plan),
                       .data_spans = {}};
  if (!options.programs_file.empty()) {
    replace_programs(prepared.programs, options.programs_file);
  }
  return prepared;
}

}  // namespace shoal

#include "shoal/train/prepared_job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/data/augmented_dataset.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"
#include "shoal/program/verify.h"
#include "shoal/tensor/element_types.h"
#include "shoal/train/loss_form.h"
#include "shoal/train/metrics.h"

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

// Refuses a job that cannot be planned before any of its data is read.
int planned(const Job& job, int workers) {
  (void)job.plan(workers);
  return workers;
}

// What evaluations cannot count with such data.
std::vector<std::string> evaluation_problems(const TrainOptions& options,
                                             const AnswerForm& answers) {
  std::vector<std::string> faults = metric_problems(options.metrics, answers);
  if (options.early_stop.metric == StopMetric::accuracy && !answers.classifies()) {
    faults.push_back(
        fmt::format("[train] early_stop_metric = \"accuracy\" is for classes, and the data has {}: "
                    "use \"loss\"",
                    answers.text()));
  }
  return faults;
}

std::vector<BlockFacts> measured_facts(const Job& job, const Plan& plan, const SampleForm& form,
                                       const Chain& chain, const PrepareOptions& options) {
  const at::ScalarType type = parameter_type(job.train.precision);
  const std::vector<ActivationFacts> input{
      {.name = "x",
       .sample_shape = form.shape,
       .type = form.ids > 0 ? ElementType::int64 : element_type(type),
       .differentiable = false}};
  return record_facts(chain, input,
                      {.type = type,
                       .autocast = autocast_type(job.train.precision),
                       .measure_costs = options.measure_costs,
                       .cost_samples = plan.largest_micro_batch()});
}

Programs compiled(const Job& job, const SampleForm& form, const Chain& chain, int workers,
                  const PrepareOptions& options) {
  const Plan plan = job.plan(workers);
  const std::vector<BlockFacts> facts =
      options.facts_file.empty()
          ? measured_facts(job, plan, form, chain, options)
          : facts_from_json(read_json(options.facts_file), options.facts_file);
  require_none(fit_problems(job.train.optimizer, facts));
  Programs programs = compile(facts, plan);
  if (!options.programs_file.empty()) replace_programs(programs, options.programs_file);
  return programs;
}

// What layers are refused for by their shapes, of a chain whose blocks alone know them.
void require_output(const std::vector<BlockFacts>& blocks, const SampleForm& form) {
  if (blocks.empty()) return;
  const BlockFacts& last = blocks.back();
  const AnswerForm& answers = form.answers;
  std::vector<std::int64_t> wanted{answers.count()};
  if (answers.classes > 0) {
    wanted = answers.shape;
    wanted.push_back(answers.classes);
  }
  const bool is_number =
      answers.classes == 0 && answers.count() == 1 && last.outputs.front().sample_shape.empty();
  if (last.outputs.size() == 1 && (last.outputs.front().sample_shape == wanted || is_number))
    return;
  std::vector<std::string> found;
  for (const ActivationFacts& output : last.outputs) {
    found.push_back(fmt::format("[{}]", fmt::join(output.sample_shape, ", ")));
  }
  throw InvalidInput(fmt::format(
      "block {} is the last and gives {} for each sample, but the data has {}: let it give [{}]",
      last.name, fmt::join(found, " and "), answers.text(), fmt::join(wanted, ", ")));
}

}  // namespace

SampleForm form_of(const Dataset& set) {
  return {.shape = set.sample_shape(), .ids = set.facts().ids, .answers = set.answers()};
}

DataShape data_shape(const SampleForm& form) {
  return {.sample_shape = form.shape,
          .classes = static_cast<int>(form.answers.classes),
          .targets = static_cast<int>(form.answers.count()),
          .yes_or_no = form.answers.yes_or_no,
          .positions = form.answers.classes > 0 ? form.answers.shape : std::vector<std::int64_t>(),
          .ids = form.ids};
}

at::ScalarType parameter_type(Precision precision) {
  return precision == Precision::fp64 ? at::kDouble : at::kFloat;
}

std::optional<at::ScalarType> autocast_type(Precision precision) {
  switch (precision) {
    case Precision::fp32:
    case Precision::fp64:
      return std::nullopt;
    case Precision::bf16:
      return at::kBFloat16;
    case Precision::fp16:
      return at::kHalf;
  }
  return std::nullopt;
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

JobPreparation::JobPreparation(const Job& job, int workers, const PrepareOptions& options)
    : job_(job),
      workers_(planned(job, workers)),
      options_(options),
      opening_(job.data, static_cast<std::uint64_t>(job.seed),
               [this](const DataSpan& span) { spans_.push_back(span); }) {}

void JobPreparation::wait_for_data() {
  // How long reading takes is for the disk to say: a limit would refuse large files.
  if (!data_) data_ = opening_.take(Deadline::never());
}

void JobPreparation::compile_programs() {
  while_reading([&] {
    if (!job_.train.batch) {
      wait_for_data();
      job_.train.batch = data_->train->size();
    }
    form_ = sample_form_ahead(job_.data);
    if (!form_) {
      wait_for_data();
      form_ = form_of(*data_->train);
    }
    chain_ = make_chain(job_.model, data_shape(*form_));
    programs_ = compiled(job_, *form_, *chain_, workers_, options_);
    require_output(programs_->blocks, *form_);
  });
}

PreparedJob JobPreparation::finish() {
  if (!programs_) compile_programs();
  wait_for_data();
  require_augmentable(*data_->train, job_.augment);
  const SampleForm form = form_of(*data_->train);
  if (form != *form_) {
    throw InvalidInput(
        fmt::format("{}: the files changed while they were read: start again when they are "
                    "complete",
                    data_->train->name()));
  }
  require_none(evaluation_problems(job_.train, form.answers));
  LossForm loss = loss_form(job_.train, chain_->loss(), *data_->train);
  return {.job = job_,
          .data = std::move(*data_),
          .chain = std::move(*chain_),
          .loss = std::move(loss),
          .programs = std::move(*programs_),
          .data_spans = std::move(spans_)};
}

PreparedJob prepare(const Job& job, int workers, const PrepareOptions& options) {
  return JobPreparation(job, workers, options).finish();
}

PreparedJob prepare(const Job& given, DataSplits data, Chain chain, int workers,
                    const PrepareOptions& options) {
  Job job = given;
  require_augmentable(*data.train, job.augment);
  if (!job.train.batch) job.train.batch = data.train->size();
  Programs programs = compiled(job, form_of(*data.train), chain, workers, options);
  require_none(evaluation_problems(job.train, data.train->answers()));
  LossForm loss = loss_form(job.train, chain.loss(), *data.train);
  return {.job = std::move(job),
          .data = std::move(data),
          .chain = std::move(chain),
          .loss = std::move(loss),
          .programs = std::move(programs),
          .data_spans = {}};
}

}  // namespace shoal

#include "shoal/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <nlohmann/json.hpp>

#include "shoal/checkpoint/weights.h"
#include "shoal/comm/across_ranks.h"
#include "shoal/core/cores.h"
#include "shoal/core/digest.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/program/memory_bound.h"
#include "shoal/train/batch_feed.h"
#include "shoal/train/checkpointing.h"
#include "shoal/train/evaluation.h"
#include "shoal/train/metrics_observer.h"
#include "shoal/train/run_figures.h"
#include "shoal/train/weights_digest.h"

namespace shoal {
namespace {

std::int64_t steps_of(const PreparedJob& prepared) {
  if (prepared.job.train.steps) return *prepared.job.train.steps;
  return prepared.job.train.epochs * steps_per_epoch(prepared);
}

RankModelOptions model_options(const Job& job, const ComputeDevice& device) {
  return {.seed = static_cast<std::uint64_t>(job.seed),
          .type = parameter_type(job.train.precision),
          .optimizer = job.train.optimizer,
          .device = device,
          .ema_decay = job.train.ema_decay};
}

std::string not_finite_sentence(const std::string& block) {
  return fmt::format("{} is not finite", block == "input"      ? "the input"
                                         : block == "loss"     ? "the loss"
                                         : block == "gradient" ? "a gradient"
                                                               : "the output of block " + block);
}

std::string way_back(const std::string& checkpoint) {
  if (checkpoint.empty()) return "there is no checkpoint to go back to";
  return "the last complete checkpoint is " + checkpoint;
}

std::vector<at::Tensor> copies_of(std::vector<at::Tensor> tensors) {
  for (at::Tensor& tensor : tensors) tensor = tensor.detach().clone();
  return tensors;
}

// Nothing where nothing was kept.
void restore(const std::vector<at::Tensor>& tensors, const std::vector<at::Tensor>& kept) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < kept.size(); ++i) at::Tensor(tensors[i]).copy_(kept[i]);
}

// While it lives, the moving average stands in the place of the weights.
class AverageInPlace {
 public:
  AverageInPlace(RankModel& model, bool on) : model_(model), on_(on) {
    if (on_) model_.swap_averages();
  }
  ~AverageInPlace() {
    if (on_) model_.swap_averages();
  }
  AverageInPlace(const AverageInPlace&) = delete;
  AverageInPlace& operator=(const AverageInPlace&) = delete;

 private:
  RankModel& model_;
  bool on_;
};

}  // namespace

class Trainer::Impl {
 public:
  Impl(World& world, const PreparedJob& prepared, TrainerOptions options)
      : world_(world),
        prepared_(prepared),
        options_(std::move(options)),
        device_(ComputeDevice::named(prepared.job.execute.device, world.local_rank())),
        account_(std::make_shared<MemoryAccount>(device_.device().type())),
        trace_(options_.trace_file.empty() ? nullptr : std::make_shared<Trace>(world.rank())),
        state_(prepared.job.train),
        model_(build_model()),
        executor_(world, prepared.programs, *model_, prepared.chain, executor_options()),
        checkpointing_(prepared, *model_, state_, world, executor_.world_group()),
        total_steps_(steps_of(prepared)) {
    require_equal_jobs();
    if (trace_) {
      for (const DataSpan& span : prepared.data_spans) trace_->add(trace_span(span));
    }
    if (options_.resume) {
      resume();
    } else {
      checkpointing_.require_new_folder();
    }
    if (resumed_from_.empty() && !prepared.job.model.weights.empty()) {
      begin_with(prepared.job.model.weights);
    }
    first_step_ = next_step_;
    open_metrics();
    figures_.launched = options_.launched;
  }

  StepReport step() {
    const std::int64_t begun = steady_ns();
    if (!feed_) {
      feed_ = std::make_unique<BatchFeed>(prepared_, batch_part(plan(), world_.rank()), next_step_,
                                          total_steps_, trace_);
    }
    StepBatch kept;  // for a second look at a step that is not finite
    const std::vector<at::Tensor> statistics =
        may_skip() ? copies_of(model_->buffers()) : std::vector<at::Tensor>{};
    RunInput input{.step = next_step_,
                   .rate = rate_at(prepared_.job.train.rate, next_step_,
                                   {.total_steps = total_steps_,
                                    .batch_parts = plan().batch_parts(),
                                    .batch = plan().batch}),
                   .loss_scale = loss_scale(),
                   .looks_at_gradients = may_skip(),
                   .batches = [&](Deadline deadline) { return kept = feed_->next(deadline); },
                   .requests = {.stop_signal = options_.stop ? options_.stop->signal() : 0,
                                .checkpoint_written = checkpointing_.has_written()}};
    const TimeShares before = executor_.shares();
    const Agreement agreed = executor_.train(input);
    if (agreed.finite) {
      state_.loss_scale.after_good_step();
      state_.skipped_in_row = 0;
    } else {
      restore(model_->buffers(), statistics);
      not_finite(input, kept, agreed);
    }
    stopped_by_ = agreed.stop_signal;
    if (const auto step = checkpointing_.commit_when(agreed.checkpoints_written)) {
      for (Observer* observer : options_.observers) {
        observer->checkpointed(*step, prepared_.job.checkpoint.path);
      }
    }
    StepReport report{.step = next_step_,
                      .epoch = next_step_ / steps_per_epoch(prepared_),
                      .loss = agreed.mean_loss(),
                      .rate = input.rate,
                      .gradient_norm = agreed.gradient_norm,
                      .skipped = !agreed.finite,
                      .samples = static_cast<std::int64_t>(agreed.samples)};
    ++next_step_;
    checkpointing_.after_step(next_step_, /*last=*/false);
    report.seconds = static_cast<double>(steady_ns() - begun) * 1e-9;
    const TimeShares after = executor_.shares();
    report.compute_seconds = after.compute - before.compute;
    report.communication_seconds = after.communication - before.communication;
    report.data_seconds = after.data - before.data;
    figures_.add(report, before, after);
    if (report.step == first_step_) after_first_step();
    for (Observer* observer : options_.observers) observer->after_step(report);
    return report;
  }

  bool finished() const {
    return next_step_ >= total_steps_ || stopped_by_ != 0 || state_.early_stop.stops();
  }
  std::int64_t next_step() const { return next_step_; }
  RankModel& model() { return *model_; }

  EvaluationReport evaluate(const Dataset& set, const std::string& name) {
    const bool averaged = prepared_.job.train.ema_decay.has_value();
    EvaluationReport report;
    {
      const AverageInPlace average(*model_, averaged);
      report = evaluate_set(executor_, prepared_, world_.rank(), set, name);
    }
    report.averaged = averaged;
    for (Observer* observer : options_.observers) observer->evaluated(report);
    figures_.evaluations.push_back(report);
    return report;
  }

  void predict(const Dataset& set, const PredictionSink& sink) {
    const AverageInPlace average(*model_, prepared_.job.train.ema_decay.has_value());
    predict_set(executor_, prepared_, world_.rank(), set, sink);
  }

  RunReport run() {
    for (Observer* observer : options_.observers) observer->started(start_report());
    if (world_.rank() == 0) {
      for (const std::string& sentence : prepared_.job.warnings()) warn(sentence);
    }
    // A checkpoint is begun before its step's evaluation, which early stopping must not lose.
    if (first_step_ > 0 && state_.early_stop.on() &&
        state_.early_stop.evaluated_step() != first_step_) {
      evaluate_when_due();
    }
    while (!finished()) {
      step();
      evaluate_when_due();
    }
    feed_.reset();
    if (stopped_by_ == 0 && next_step_ == first_step_) nothing_to_do();
    checkpointing_.after_step(next_step_, /*last=*/true);
    if (stopped_by_ == 0 && prepared_.job.train.evaluate && prepared_.data.test) {
      evaluate(*prepared_.data.test, "test");
    }
    RunReport report = figures_.report(prepared_, world_, executor_, account_->peak(), bound_.peak);
    report.first_step = first_step_;
    report.steps = next_step_;
    report.weights_sha256 =
        weights_sha256(executor_.world_group(), prepared_.programs, *model_, deadline());
    report.skipped_steps = state_.skipped;
    if (state_.early_stop.on()) report.best_step = state_.early_stop.best_step();
    if (state_.early_stop.stops()) report.stopped_early = state_.early_stop.reason();
    if (stopped_by_ != 0) report.stopped_by = stopped_by_ == SIGINT ? "SIGINT" : "SIGTERM";
    if (trace_) write_trace();
    return report;
  }

  void load_weights(const std::filesystem::path& path) {
    std::vector<PersistentTensor> averages = begin_with(path);
    if (averages.empty() || !Weights(path).is_checkpoint()) return;
    const Checkpoint checkpoint(path);
    if (checkpoint.names("average").empty()) {
      throw InvalidInput(
          fmt::format("{} has no moving average of the weights: set [train] ema_decay = \"none\"",
                      path.string()));
    }
    checkpoint.load(averages);
  }

 private:
  const Plan& plan() const { return prepared_.programs.plan; }

  // Fills parameters and buffers; returns the moving averages, which begin with them.
  std::vector<PersistentTensor> begin_with(const std::filesystem::path& weights) {
    std::vector<PersistentTensor> tensors =
        persistent_tensors(prepared_.programs, *model_, /*with_optimizer=*/false);
    const auto first_average =
        std::stable_partition(tensors.begin(), tensors.end(),
                              [](const PersistentTensor& held) { return held.role != "average"; });
    std::vector<PersistentTensor> averages(first_average, tensors.end());
    tensors.erase(first_average, tensors.end());
    shoal::load_weights(weights, prepared_.programs, tensors);
    const at::NoGradGuard no_grad;
    for (auto& trained : model_->trained()) {
      if (trained.average.defined()) trained.average.copy_(trained.parameter);
    }
    return averages;
  }

  std::unique_ptr<RankModel> build_model() {
    const MemoryAccountScope scope(account_);
    return std::make_unique<RankModel>(prepared_.chain, prepared_.programs, world_.rank(),
                                       model_options(prepared_.job, device_));
  }

  // Programs say nothing of seeds and rates: with other ones ranks would drift apart.
  void require_equal_jobs() {
    Job job = prepared_.job;
    const nlohmann::json tables = to_json(job.tables());
    const nlohmann::json same{tables.at(""), tables.at("train")};
    const auto rank =
        rank_that_differs(executor_.world_group(), name_hash(same.dump()), deadline());
    if (!rank) return;
    throw InvalidInput(
        fmt::format("rank {} has another seed or [train] table than rank 0: start all workers "
                    "with the same job",
                    *rank));
  }

  ExecutorOptions executor_options() const {
    const auto cores = cores_of_worker(world_.local_rank(), world_.local_size(), allowed_cores());
    return {
        .lanes = prepared_.job.execute.lanes,
        .has_spare_core = cores.size() > static_cast<std::size_t>(prepared_.job.execute.threads) &&
                          allowed_cores().size() > static_cast<std::size_t>(world_.local_size()),
        .autocast = autocast_type(prepared_.job.train.precision),
        .loss = prepared_.loss,
        .account = account_,
        .trace = trace_};
  }

  Deadline deadline() const { return Deadline::after_seconds(world_.options().collective_seconds); }

  void resume() {
    std::vector<std::string> warnings;
    next_step_ = checkpointing_.resume(warnings, resumed_from_);
    for (const auto& sentence : warnings) warn(sentence);
    if (!resumed_from_.empty() || world_.rank() != 0) return;
    warn(fmt::format("no complete checkpoint in {}: training starts anew",
                     prepared_.job.checkpoint.path));
  }

  void warn(const std::string& sentence) {
    for (Observer* observer : options_.observers) observer->warned(sentence);
  }

  // Rank 0 writes them; what hinders it is told to all, so that nobody waits for a rank that left.
  void open_metrics() {
    if (prepared_.job.metrics.path.empty()) return;
    std::string fault;
    if (world_.rank() == 0) {
      try {
        metrics_ =
            std::make_unique<MetricsObserver>(prepared_.job.metrics, options_.resume, first_step_);
        options_.observers.push_back(metrics_.get());
      } catch (const InvalidInput& error) {
        fault = error.what();
      }
    }
    fault = text_of_rank_0(executor_.world_group(), fault, deadline());
    if (!fault.empty()) throw InvalidInput(fault);
  }

  StartReport start_report() const {
    return {.model = model_title(prepared_.job.model),
            .parameters = parameter_count(prepared_.programs.blocks),
            .workers = world_.size(),
            .mesh = plan().mesh.text(),
            .first_step = first_step_,
            .total_steps = total_steps_,
            .steps_per_epoch = steps_per_epoch(prepared_),
            .samples = prepared_.data.train->size(),
            .resumed_from = resumed_from_};
  }

  void after_first_step() {
    figures_.first_step_done = std::chrono::system_clock::now();
    const auto states = static_cast<double>(states_per_parameter(prepared_.job.train));
    bound_ = memory_bound(prepared_.programs.named.at("train").at(world_.rank()),
                          prepared_.programs.blocks, states);
    for (Observer* observer : options_.observers) {
      observer->after_first_step({.bound = bound_, .measured = account_->peak()});
    }
  }

  // The scale is of the mean loss, and what is scaled is a sum: by a power of two, which is exact.
  double loss_scale() const {
    if (!state_.loss_scale.on()) return 1;
    const auto batch = static_cast<std::uint64_t>(plan().batch);
    return state_.loss_scale.value() / static_cast<double>(std::bit_ceil(batch));
  }

  // Whether a step that is not finite may be left out: then gradients are looked at too, and
  // running statistics are kept to be put back.
  bool may_skip() const {
    return state_.loss_scale.on() || prepared_.job.train.non_finite == NonFinite::skip;
  }

  // The update was not applied on any rank. Counts the step as skipped, or throws NotFinite on all.
  void not_finite(const RunInput& input, const StepBatch& batch, const Agreement& agreed) {
    ++state_.skipped;
    if (agreed.loss_is_finite && state_.loss_scale.can_fall()) {
      state_.loss_scale.after_overflow();
      tell(fmt::format(
          "step {}: a gradient overflows: the step is skipped, and the loss scale falls "
          "to {}",
          input.step + 1, state_.loss_scale.value()));
      return;
    }
    const std::string block = agreed.loss_is_finite ? "gradient" : block_not_finite(input, batch);
    std::string sentence = fmt::format("step {}: {}", input.step + 1, not_finite_sentence(block));
    if (prepared_.job.train.non_finite == NonFinite::skip) {
      const std::int64_t limit = prepared_.job.train.non_finite_limit;
      if (++state_.skipped_in_row <= limit) {
        tell(sentence + ": the step is skipped; " + way_back(checkpointing_.newest_on_disk()));
        return;
      }
      sentence += fmt::format(", and the {} steps before it were skipped for such a reason", limit);
    }
    throw NotFinite(fmt::format("{}: {}; {}", sentence,
                                block == "input" ? "look for NaN or infinity in the data"
                                                 : "try a lower [train] lr or set clip_norm",
                                way_back(checkpointing_.newest_complete())),
                    input.step, block);
  }

  std::string block_not_finite(const RunInput& input, const StepBatch& batch) {
    RunInput again = input;
    again.batches = [&](Deadline) { return batch; };
    return executor_.first_not_finite(again);
  }

  void tell(const std::string& sentence) {
    if (world_.rank() == 0) warn(sentence);
  }

  void nothing_to_do() {
    warn(state_.early_stop.stops()
             ? "training had ended early already: " + state_.early_stop.reason()
             : fmt::format("all {} steps were done already", total_steps_));
  }

  void evaluate_when_due() {
    const std::int64_t every = prepared_.job.train.evaluate_every;
    const std::int64_t epoch_steps = steps_per_epoch(prepared_);
    if (every == 0 || next_step_ % (every * epoch_steps) != 0) return;
    if (!prepared_.data.validation || prepared_.data.validation->size() == 0) return;
    const EvaluationReport report = evaluate(*prepared_.data.validation, "validation");
    if (!state_.early_stop.on()) return;
    if (state_.early_stop.is_best(report, next_step_)) checkpointing_.keep_best(next_step_);
  }

  void write_trace() {
    const auto by_rank = gather_texts(executor_.world_group(), spans_to_text(*trace_), deadline());
    if (world_.rank() == 0) replace_file(options_.trace_file, chrome_trace(by_rank));
  }

  World& world_;
  const PreparedJob& prepared_;
  TrainerOptions options_;
  ComputeDevice device_;
  std::shared_ptr<MemoryAccount> account_;
  std::shared_ptr<Trace> trace_;
  RunState state_;
  std::unique_ptr<RankModel> model_;
  Executor executor_;
  Checkpointing checkpointing_;
  std::int64_t total_steps_;
  std::int64_t first_step_ = 0;
  std::int64_t next_step_ = 0;
  int stopped_by_ = 0;
  std::string resumed_from_;
  std::unique_ptr<MetricsObserver> metrics_;  // on rank 0, where [metrics] asks for it
  MemoryBound bound_;
  RunFigures figures_;
  std::unique_ptr<BatchFeed> feed_;  // last: its threads read the data
};

Trainer::Trainer(World& world, const PreparedJob& prepared, TrainerOptions options)
    : impl_(std::make_unique<Impl>(world, prepared, std::move(options))) {}
Trainer::~Trainer() = default;

StepReport Trainer::step() { return impl_->step(); }
bool Trainer::finished() const { return impl_->finished(); }
std::int64_t Trainer::next_step() const { return impl_->next_step(); }
EvaluationReport Trainer::evaluate(const Dataset& set, const std::string& name) {
  return impl_->evaluate(set, name);
}
void Trainer::predict(const Dataset& set, const PredictionSink& sink) { impl_->predict(set, sink); }
RunReport Trainer::run() { return impl_->run(); }
void Trainer::load_weights(const std::filesystem::path& path) { impl_->load_weights(path); }
RankModel& Trainer::model() { return impl_->model(); }

}  // namespace shoal

#include "shoal/train/checkpointing.h"

#include <fmt/format.h>

#include <algorithm>

#include "shoal/checkpoint/index.h"
#include "shoal/checkpoint/weights.h"
#include "shoal/comm/across_ranks.h"
#include "shoal/core/error.h"
#include "shoal/train/weights_digest.h"

namespace shoal {
void load_same_model(const Checkpoint& checkpoint, std::vector<PersistentTensor>& tensors) {
  try {
    checkpoint.load(tensors);
  } catch (const InvalidInput& error) {
    if (error.faults.empty()) throw;  // not about tensors
    const std::size_t others = error.faults.size() - 1;
    throw InvalidInput(fmt::format(
        "{}{}: take the model that wrote it, or another [checkpoint] path", error.faults.front(),
        others == 0 ? "" : fmt::format("; {} more tensors differ", others)));
  }
}

void load_weights(const std::filesystem::path& path, const Programs& programs,
                  std::vector<PersistentTensor>& tensors) {
  Shapes model;
  for (const BlockFacts& block : programs.blocks) {
    for (const auto& parameter : block.parameters) model[parameter.name] = parameter.shape;
    for (const auto& buffer : block.buffers) model[buffer.name] = buffer.shape;
  }
  const Weights weights(path);
  require_none(problems_of(weights, model));
  load(weights, tensors);
}

std::vector<PersistentTensor> persistent_tensors(const Programs& programs, const RankModel& model,
                                                 bool with_optimizer) {
  std::map<int, std::vector<int>> holders;
  std::vector<PersistentTensor> tensors;
  for (HeldTensor& held : model.held()) {
    if (held.role == "optimizer" && !with_optimizer) continue;
    auto [found, is_new] = holders.try_emplace(held.block);
    if (is_new) found->second = holders_of_block(programs, held.block);
    tensors.push_back({held.name, held.role, held.tensor.detach(), found->second});
  }
  return tensors;
}

namespace {

// What an older shoal did not know, it did as the default says.
nlohmann::json stored_value(const nlohmann::json& stored, const nlohmann::json& defaults,
                            const std::string& table, const std::string& key) {
  if (stored.contains(table) && stored.at(table).contains(key)) return stored.at(table).at(key);
  return defaults.at(table).at(key);
}

// Long values, such as layers, from a little before where they differ.
std::pair<std::string, std::string> shown_apart(const nlohmann::json& a, const nlohmann::json& b) {
  constexpr std::size_t kMost = 60, kBefore = 20;
  std::string left = a.dump(), right = b.dump();
  if (left.size() <= kMost && right.size() <= kMost) return {left, right};
  const auto differ = std::mismatch(left.begin(), left.end(), right.begin(), right.end()).first;
  const auto at = static_cast<std::size_t>(differ - left.begin());
  const std::size_t begin = at < kBefore ? 0 : at - kBefore;
  const auto part = [&](const std::string& text) {
    const std::size_t end = std::min(text.size(), begin + kMost);
    return fmt::format("{}{}{}", begin > 0 ? "..." : "",
                       text.substr(std::min(begin, text.size()), end - std::min(begin, end)),
                       end < text.size() ? "..." : "");
  };
  return {part(left), part(right)};
}

}  // namespace

std::vector<std::string> resume_problems(const Job& job, const nlohmann::json& stored) {
  Job own = job;
  Job fresh;
  const nlohmann::json defaults = to_json(fresh.tables());
  std::vector<std::string> faults;
  for (const OptionTable& table : own.tables()) {
    for (const Option& option : table.options) {
      if (option.on_resume == OnResume::may_change) continue;
      const nlohmann::json kept = stored_value(stored, defaults, table.name, option.name);
      const nlohmann::json asked = option.get();
      if (kept == asked) continue;
      const auto [before, now] = shown_apart(kept, asked);
      faults.push_back(fmt::format(
          "{}{} is {} in the checkpoint and {} in the job: a resumed run keeps it; set it back, or "
          "start another run from these weights, with [model] weights and another [checkpoint] "
          "path",
          table.name.empty() ? "" : "[" + table.name + "] ", option.name, before, now));
    }
  }
  return faults;
}

std::vector<std::string> resume_problems(const DataSplits& data, const nlohmann::json& stored) {
  std::vector<std::string> faults;
  const nlohmann::json own = sizes_of(data);
  for (const char* set : {"training", "validation"}) {
    if (!stored.contains(set) || stored.at(set) == own.at(set)) continue;
    faults.push_back(fmt::format(
        "the data has {} {} samples, and {} in the run that wrote the checkpoint: a resumed run "
        "keeps them; take the same files, or start anew with another [checkpoint] path",
        own.at(set).dump(), set, stored.at(set).dump()));
  }
  return faults;
}

nlohmann::json sizes_of(const DataSplits& data) {
  return {{"training", data.train ? data.train->size() : 0},
          {"validation", data.validation ? data.validation->size() : 0}};
}

namespace {

// On other meshes sums have other parts anyway.
std::optional<std::string> difference_of_sums(const nlohmann::json& stored,
                                              const nlohmann::json& own) {
  if (!stored.contains("sums") || stored.at("mesh") != own.at("mesh")) return std::nullopt;
  for (const auto& [group, order] : own.at("sums").items()) {
    if (!stored.at("sums").contains(group) || stored.at("sums").at(group) == order) continue;
    return fmt::format(
        "the run that wrote the checkpoint added in group {} by {}, and this one by {}: its steps "
        "are the same but for rounding; give it the [comm] engine, algorithm and choices of that "
        "run for the same bits",
        group, stored.at("sums").at(group).get<std::string>(), order.get<std::string>());
  }
  return std::nullopt;
}

}  // namespace

Checkpointing::Checkpointing(const PreparedJob& prepared, RankModel& model, RunState& state,
                             const World& world, Group& group)
    : prepared_(prepared), model_(model), state_(state), world_(world), group_(group) {
  if (prepared_.job.checkpoint.path.empty()) return;
  writer_ =
      std::make_unique<CheckpointWriter>(prepared_.job.checkpoint, world_.rank(), world_.size());
}
Checkpointing::~Checkpointing() = default;

Deadline Checkpointing::deadline() const {
  return Deadline::after_seconds(prepared_.job.comm.collective_seconds);
}

std::int64_t Checkpointing::resume(std::vector<std::string>& warnings, std::string& folder) {
  if (!writer_) {
    throw InvalidInput("--resume needs a [checkpoint] path in the job to look for checkpoints in");
  }
  std::string newest;
  if (world_.rank() == 0) {
    FoundCheckpoint found = find_newest(prepared_.job.checkpoint.path);
    warnings = std::move(found.skipped);
    if (found.newest) newest = found.newest->string();
  }
  folder = text_of_rank_0(group_, newest, deadline());
  if (folder.empty()) return 0;
  const Checkpoint checkpoint(folder);
  require_none(resume_problems(prepared_.job, checkpoint.facts().at("job")));
  if (checkpoint.facts().contains("samples")) {
    require_none(resume_problems(prepared_.data, checkpoint.facts().at("samples")));
  }
  std::vector<PersistentTensor> tensors =
      persistent_tensors(prepared_.programs, model_, /*with_optimizer=*/true);
  load_same_model(checkpoint, tensors);
  model_.update_count = checkpoint.facts().at("update_count").get<std::int64_t>();
  if (checkpoint.facts().contains("run")) state_.restore(checkpoint.facts().at("run"));
  if (state_.early_stop.best_step() >= 0) writer_->spare(state_.early_stop.best_step());
  newest_step_ = checkpoint.step();
  resumed_from_ = folder;
  if (world_.rank() == 0) {
    const auto difference = difference_of_sums(checkpoint.facts(), own_facts());
    if (difference) warnings.push_back(*difference);
  }
  return checkpoint.step();
}

void Checkpointing::require_new_folder() {
  if (!writer_) return;
  std::string newest;
  if (world_.rank() == 0) {
    if (const auto found = find_newest(prepared_.job.checkpoint.path).newest) {
      newest = found->string();
    }
  }
  newest = text_of_rank_0(group_, newest, deadline());
  if (newest.empty()) return;
  throw InvalidInput(
      fmt::format("[checkpoint] path holds a run already (up to {}): go on from it with --resume, "
                  "or choose another path",
                  newest));
}

nlohmann::json Checkpointing::own_facts() const {
  Job job = prepared_.job;
  const Programs& programs = prepared_.programs;
  nlohmann::json sums = nlohmann::json::object();
  for (const GroupFacts& group : programs.named.at("train")[0].groups) {
    sums[group.name] = world_.order_of_sums(group.ranks);
  }
  return {{"job", to_json(job.tables())},      {"samples", sizes_of(prepared_.data)},
          {"mesh", programs.plan.mesh.text()}, {"model", model_title(job.model)},
          {"stages", programs.plan.stages()},  {"sums", std::move(sums)}};
}

void Checkpointing::begin(std::int64_t steps_done) {
  if (open_step_ >= 0) {
    writer_->finish(group_, deadline());
    open_step_ = -1;
  }
  nlohmann::json facts = own_facts();
  facts["steps"] = steps_done;
  facts["update_count"] = model_.update_count;
  facts["run"] = state_.to_json();
  writer_->begin(steps_done,
                 persistent_tensors(prepared_.programs, model_, /*with_optimizer=*/true),
                 std::move(facts));
  open_step_ = newest_step_ = steps_done;
}

void Checkpointing::after_step(std::int64_t steps_done, bool last) {
  if (!writer_) return;
  const std::int64_t every = prepared_.job.checkpoint.every_steps;
  const bool due = last || (every > 0 && steps_done % every == 0);
  if (due && newest_step_ != steps_done) begin(steps_done);
  if (last && open_step_ >= 0) {
    writer_->finish(group_, deadline());
    open_step_ = -1;
  }
}

void Checkpointing::keep_best(std::int64_t steps_done) {
  if (!writer_) return;
  if (newest_step_ != steps_done) begin(steps_done);
  writer_->spare(steps_done);
}

std::string Checkpointing::newest_complete() {
  if (!writer_) return "";
  if (open_step_ >= 0) {
    writer_->finish(group_, deadline());
    open_step_ = -1;
  }
  return text_of_rank_0(group_, newest_on_disk(), deadline());
}

std::string Checkpointing::newest_on_disk() const {
  if (!writer_ || writer_->committed() < 0) return resumed_from_;
  return step_folder(prepared_.job.checkpoint.path, writer_->committed()).string();
}

bool Checkpointing::has_written() const {
  return writer_ && open_step_ >= 0 && writer_->written() == open_step_;
}

std::optional<std::int64_t> Checkpointing::commit_when(int ranks_written) {
  if (!writer_) return std::nullopt;
  if (open_step_ >= 0 && ranks_written == world_.size()) {
    writer_->commit();
    open_step_ = -1;
  }
  const std::int64_t committed = writer_->committed();
  if (committed == told_step_) return std::nullopt;
  return told_step_ = committed;
}

}  // namespace shoal

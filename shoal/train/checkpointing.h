// When checkpoints are written, agreed on and resumed from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shoal/checkpoint/checkpoint.h"
#include "shoal/comm/world.h"
#include "shoal/execute/rank_model.h"
#include "shoal/train/observer.h"
#include "shoal/train/prepared_job.h"
#include "shoal/train/run_state.h"

namespace shoal {

// The tensors of this rank, with the ranks that hold the same values.
std::vector<PersistentTensor> persistent_tensors(const Programs& programs, const RankModel& model,
                                                 bool with_optimizer);

// Fills the tensors. Throws InvalidInput with one sentence, however many of them differ.
void load_same_model(const Checkpoint& checkpoint, std::vector<PersistentTensor>& tensors);

// Fills this rank's parameters and buffers from a checkpoint, a .safetensors file or a folder of
// .npy files. Throws InvalidInput for a fault in any of the model's tensors, also those of other
// ranks.
void load_weights(const std::filesystem::path& path, const Programs& programs,
                  std::vector<PersistentTensor>& tensors);

// One thread drives it; all ranks make the same calls at the same steps.
class Checkpointing {
 public:
  // `group`: of all ranks.
  // `state` goes into each checkpoint, and comes back from the one that is resumed from.
  Checkpointing(const PreparedJob& prepared, RankModel& model, RunState& state, const World& world,
                Group& group);
  ~Checkpointing();

  // Rank 0 looks for the newest complete checkpoint and tells the others; all load it. Returns the
  // number of steps done, 0 when there is none. `warnings` gets, on rank 0, a sentence for each
  // damaged one, and one when sums will be rounded otherwise than in the run before.
  std::int64_t resume(std::vector<std::string>& warnings, std::string& folder);

  // A new run does not mix with an older one's checkpoints: throws InvalidInput on every rank when
  // the folder holds complete ones.
  void require_new_folder();

  // After `steps_done` updates: begins one when it is due. `last`: waits until it is complete.
  void after_step(std::int64_t steps_done, bool last);
  // The checkpoint of `steps_done` updates, written now if it is not yet, stays until there is a
  // better one. Nothing without a [checkpoint] path.
  void keep_best(std::int64_t steps_done);
  // Folder of the newest complete checkpoint that this run can go back to; waits for the one under
  // way. Empty: there is none. All ranks call it and get the same.
  std::string newest_complete();
  // The same without waiting, on rank 0.
  std::string newest_on_disk() const;
  // What goes into the step's agreement, and what is done with its result. Returns the step of a
  // checkpoint that has become complete since the last call (its index is on disk).
  bool has_written() const;
  std::optional<std::int64_t> commit_when(int ranks_written);

 private:
  void begin(std::int64_t steps_done);
  nlohmann::json own_facts() const;  // that do not change from step to step
  Deadline deadline() const;
  const PreparedJob& prepared_;
  RankModel& model_;
  RunState& state_;
  const World& world_;
  Group& group_;
  std::unique_ptr<CheckpointWriter> writer_;
  std::int64_t open_step_ = -1;    // begun and not committed
  std::int64_t newest_step_ = -1;  // begun last
  std::string resumed_from_;       // folder; empty for a new run
  std::int64_t told_step_ = -1;    // returned last by commit_when
};

// A sentence for each key of the job that a resumed run has to keep (OnResume::kept) and that is
// not what the run before had. `stored_tables`: facts()["job"].
std::vector<std::string> resume_problems(const Job& job, const nlohmann::json& stored_tables);

// The same of the numbers of samples, which files of the same names may not have: the order of the
// samples depends on them. `stored`: what sizes_of() gave then.
std::vector<std::string> resume_problems(const DataSplits& data, const nlohmann::json& stored);
nlohmann::json sizes_of(const DataSplits& data);

}  // namespace shoal

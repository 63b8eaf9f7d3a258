// A worker's program: a list of operations; and the programs of all workers together.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/mesh/mesh.h"
#include "shoal/program/facts.h"
#include "shoal/program/op.h"
#include "shoal/program/plan.h"

namespace shoal {

// What Agree sends: eight sums in double precision (loss, weight, correct answers, squared gradient
// norm, elements that are not finite, and requests to stop, write a checkpoint, change membership).
inline constexpr std::int64_t kAgreeBytes = 64;
inline constexpr std::int64_t kLossBytes = 24;  // sums of loss, weight and correct answers

enum class ProgramKind : std::uint8_t { train, evaluate, predict };
std::string_view name_of(ProgramKind kind);  // the key in Programs::named

// Ranks that run collectives together. Equal groups of different ranks' programs have equal names.
struct GroupFacts {
  std::string name;        // "world", "data", "data@pipe=1"
  std::vector<int> ranks;  // world ranks, ascending
  friend bool operator==(const GroupFacts&, const GroupFacts&) = default;
};

// The list for one rank. A plain value: nothing refers to modules or tensors.
struct Program {
  int rank = 0;
  int stage = 0;
  int micro_batches = 1;
  std::int64_t micro_batch_samples = 0;  // of the largest micro-batch: sizes are upper bounds
  bool trains = true;                    // has an Update
  std::vector<GroupFacts> groups = {};
  std::vector<Op> ops = {};

  // Index of the group, added when new.
  int group_index(const GroupFacts& group);
  // Blocks that this program runs forward, ascending.
  std::vector<int> blocks() const;

  friend bool operator==(const Program&, const Program&) = default;
};

// One named program ("train", "evaluate", "predict") of every rank, by rank.
using RankPrograms = std::vector<Program>;

// "compute", a group's name, "to 2", "from 2"; "agree" where one worker agrees with itself.
std::string lane_name(const Lane& lane, const Program& program);

// Everything that a plan compiles to.
struct Programs {
  std::vector<BlockFacts> blocks;
  Plan plan;
  std::map<std::string, RankPrograms> named;

  // Digest over plan, facts without costs, and programs: ranks compare it before step 1.
  std::string digest() const;
};

// The operations, by index in the list, that must be done before each one may start: the last
// writers of what it uses, earlier readers of what it overwrites or frees, and its predecessor in
// its lane. Lanes keep order, so of several in one lane only the last is listed. Ascending.
std::vector<std::vector<int>> dependencies(const Program& program);

// Fills in the versions of all uses from the list's order: the last act of compiling.
void number_versions(Program& program);

// Bytes of a value in this program, an upper bound; saved is an estimate.
// optimizer_state: `state_per_parameter` times the parameter.
std::int64_t bytes_of(const Value& value, const Program& program,
                      const std::vector<BlockFacts>& blocks, double state_per_parameter = 0);

// "Load F0 F1 Loss B1 AllReduce(1) B0 AllReduce(0) Agree Update"
std::string text_of(const Program& program);

// The programs as a file that can be read, edited and run again (`--save-programs`, `--programs`).
// Reading is strict: an unknown or missing field, or one of another kind, is InvalidInput naming
// `source`, program, rank, and the operation's number and kind. Whether the programs fit together
// is the verifier's business.
nlohmann::json programs_to_json(const std::map<std::string, RankPrograms>& named);
// The same as text for people: an operation on a line or a few. Parses to programs_to_json(named).
std::string programs_text(const std::map<std::string, RankPrograms>& named);
std::map<std::string, RankPrograms> programs_from_json(const nlohmann::json& json,
                                                       const std::string& source);

}  // namespace shoal

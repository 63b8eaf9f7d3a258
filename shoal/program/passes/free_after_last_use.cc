// Frees every value after its last use in the list. A value that is written again later (by a
// forward that is run again) lives twice.
//   before   Load  F0  F1  Loss  B1  B0  ...
//   frees                A1 G1   after Loss: A1; after B1: G1, saved 1, A0; after B0: ...
#include <unordered_set>

#include "shoal/program/passes/passes.h"

namespace shoal {
RankPrograms free_after_last_use(RankPrograms programs) {
  for (Program& program : programs) {
    std::unordered_set<Value, ValueHash> used_later;
    for (auto op = program.ops.rbegin(); op != program.ops.rend(); ++op) {
      op->frees.clear();
      const auto use = [&](const Value& value) {
        if (!outlives_run(value.kind) && used_later.insert(value).second)
          op->frees.push_back(value);
      };
      for (const Use& read : op->reads) use(read.value);
      for (const Use& added : op->accumulates) use(added.value);
      for (const Use& write : op->writes) {
        const bool read_later = used_later.erase(write.value) > 0;
        // An activation that nobody reads is the result of a prediction; in training, a by-product
        // of a forward that is run again.
        const bool result = !program.trains && write.value.kind == ValueKind::activation;
        if (!read_later && !result && !outlives_run(write.value.kind))
          op->frees.push_back(write.value);
      }
    }
  }
  return programs;
}

}  // namespace shoal

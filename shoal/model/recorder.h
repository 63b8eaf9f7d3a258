// Measures BlockFacts: builds each different kind of block once, alone, and runs it forward and
// backward on two and on three samples; the difference gives bytes and work per sample.
#pragma once

#include <optional>
#include <vector>

#include "shoal/model/chain.h"
#include "shoal/program/facts.h"

namespace shoal {

struct RecordOptions {
  at::ScalarType type = at::kFloat;  // float32 or float64
  std::optional<at::ScalarType> autocast = std::nullopt;
  bool measure_costs = false;  // time forward and backward (several repetitions on more samples)
  std::int64_t cost_samples = 32;
};

// `input`: the first block's inputs; real numbers are taken in the model's type, and no gradient is
// asked of them. A trainable parameter that a block does not use comes last in its gradient_order.
// Waits are always exact; other work is 0 unless measured. Throws InvalidInput naming the block and
// its input shape when a block cannot run ("block 3.linear cannot take [n, 12, 12]: ..."). Runs no
// communication.
std::vector<BlockFacts> record_facts(const Chain& chain, const std::vector<ActivationFacts>& input,
                                     const RecordOptions& options);

}  // namespace shoal

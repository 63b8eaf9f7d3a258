// What is known about a model's blocks without the model: plain values that passes, verifier,
// simulator and planner work on. The recorder of module `model` measures them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

// A persistent tensor: parameter or buffer.
struct ParameterFacts {
  std::string name;  // unique in the model: "<block>.<tensor>"
  std::vector<std::int64_t>
      shape;                      // this rank's part (the whole tensor unless the layout splits it)
  std::vector<std::string> dims;  // name per dimension; "" where it has none
  ElementType type = ElementType::float32;
  bool trainable = true;
  std::int64_t elements() const;
  std::int64_t bytes() const { return elements() * static_cast<std::int64_t>(size_of(type)); }
  friend bool operator==(const ParameterFacts&, const ParameterFacts&) = default;
};

// One of the named tensors between two blocks; its first dimension counts samples.
struct ActivationFacts {
  std::string name;
  std::vector<std::int64_t> sample_shape;  // without the sample dimension
  ElementType type = ElementType::float32;
  bool differentiable = true;  // a gradient flows back through it
  std::int64_t bytes_per_sample() const;
  friend bool operator==(const ActivationFacts&, const ActivationFacts&) = default;
};

// a + b x samples. Found from runs on two and on three samples.
struct LinearFact {
  double fixed = 0;
  double per_sample = 0;
  double at(std::int64_t samples) const {
    return fixed + per_sample * static_cast<double>(samples);
  }
  friend bool operator==(const LinearFact&, const LinearFact&) = default;
};

// Work of one call in seconds. What a block moves through memory is in its core's time.
struct WorkFacts {
  LinearFact core = {};  // a core computes
  LinearFact wait = {};  // passes by itself: sleeping, a remote service; never shared
  friend bool operator==(const WorkFacts&, const WorkFacts&) = default;
};

// A sum over all ranks that hold samples of the same batch, which a block makes while it runs:
// batch norm over the whole batch makes one forward and one backward. Independent of the samples.
struct BatchSumFacts {
  std::int64_t elements = 0;
  ElementType type = ElementType::float64;
  std::int64_t bytes() const { return elements * static_cast<std::int64_t>(size_of(type)); }
  friend bool operator==(const BatchSumFacts&, const BatchSumFacts&) = default;
};

struct BlockFacts {
  std::string name;  // unique in the chain: "0.conv"
  std::string kind;  // blocks of one kind and equal input shapes share a record
  std::vector<ParameterFacts> parameters;
  std::vector<ParameterFacts> buffers;  // persistent, not trained (running statistics)
  std::vector<ActivationFacts> inputs;
  std::vector<ActivationFacts> outputs;
  LinearFact saved_bytes;  // kept by autograd between forward and backward, beside in- and outputs
  LinearFact workspace_bytes;  // most bytes beside all named values during forward or backward
  // Indices into `parameters`, in the order in which backward completes their gradients.
  std::vector<int> gradient_order;
  WorkFacts forward;
  WorkFacts backward;
  // In the order of the calls; a forward that evaluates makes none. All of one type.
  std::vector<BatchSumFacts> forward_sums;
  std::vector<BatchSumFacts> backward_sums;
  bool draws_random_numbers = false;  // from the process-wide generator: exact under no other plan

  std::int64_t parameter_bytes() const;
  std::int64_t output_bytes_per_sample() const;
  bool trainable() const;  // has a trainable parameter
  bool sums_over_batch() const { return !forward_sums.empty() || !backward_sums.empty(); }
  friend bool operator==(const BlockFacts&, const BlockFacts&) = default;
};

// The file of `--facts FILE`. Reading is strict: an unknown or missing field, or one of another
// kind, is InvalidInput naming `source`, block and field.
nlohmann::json facts_to_json(const std::vector<BlockFacts>& blocks);
// The same as text for people: a tensor a line. Parses to facts_to_json(blocks).
std::string facts_text(const std::vector<BlockFacts>& blocks);
std::vector<BlockFacts> facts_from_json(const nlohmann::json& json, const std::string& source);

}  // namespace shoal

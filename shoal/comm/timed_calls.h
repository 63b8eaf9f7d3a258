// One operation of a group with buffers of its own, ready to be called again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/group.h"

namespace shoal {

// Memory for float32 whose pages are there, of 2 MiB where the system gives them.
class PrefaultedMemory {
 public:
  PrefaultedMemory() = default;
  explicit PrefaultedMemory(std::int64_t bytes);  // throws OutOfMemory
  float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* data) const;
  };
  std::unique_ptr<float, Free> data_;
};

// The rank's side. Values are small whole numbers, so that sums are exact in any order.
class TimedCalls {
 public:
  // Buffers for up to `most_bytes`. The group outlives this.
  TimedCalls(Group& group, Operation operation, std::int64_t most_bytes);

  void take_size(std::int64_t bytes);  // a multiple of 4 times the group's size, or 0
  void write_input();
  void spoil_output();  // so that a result left over from before is no result
  void call(Deadline deadline);
  bool result_is_right() const;

  // Whether the operation needs an output beside the input.
  static bool has_output(Operation operation);

 private:
  float expected(std::int64_t place) const;

  Group& group_;
  Operation operation_;
  PrefaultedMemory in_memory_;
  PrefaultedMemory out_memory_;
  std::span<float> in_;
  std::span<float> out_;  // where the result stands: `in_` when the operation is in place
  std::vector<ConstBuffer> in_parts_;  // of all_to_all
  std::vector<Buffer> out_parts_;
};

}  // namespace shoal

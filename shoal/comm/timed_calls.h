// One operation of a group with buffers of its own, ready to be called again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shoal/comm/call.h"
#include "shoal/comm/group.h"

namespace shoal {

// Memory for float32 as malloc gives it, with its pages there; null for none.
// Throws OutOfMemory.
std::shared_ptr<float> prefaulted_memory(std::int64_t bytes);

// The rank's side. Values are small whole numbers, so that sums are exact in any order.
class TimedCalls {
 public:
  // Buffers for up to `most_bytes`, from the group or of this process alone. The group outlives
  // this.
  TimedCalls(Group& group, Operation operation, std::int64_t most_bytes, bool shared_buffers);

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
  std::shared_ptr<float> in_memory_;
  std::shared_ptr<float> out_memory_;
  std::span<float> in_;
  std::span<float> out_;  // where the result stands: `in_` when the operation is in place
  std::vector<ConstBuffer> in_parts_;  // of all_to_all
  std::vector<Buffer> out_parts_;
};

}  // namespace shoal

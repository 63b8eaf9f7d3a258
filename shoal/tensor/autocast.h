// While it lives, operations of this thread that gain from it compute in bfloat16.
#pragma once

#include <ATen/autocast_mode.h>

namespace shoal {

class AutocastToBfloat16 {
 public:
  explicit AutocastToBfloat16(bool on) : on_(on) {
    if (!on_) return;
    was_on_ = at::autocast::is_autocast_enabled(at::kCPU);
    was_type_ = at::autocast::get_autocast_dtype(at::kCPU);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~AutocastToBfloat16() {
    if (!on_) return;
    // Casts of the weights are kept while nested; after the update they would be stale.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(at::kCPU, was_type_);
    at::autocast::set_autocast_enabled(at::kCPU, was_on_);
  }
  AutocastToBfloat16(const AutocastToBfloat16&) = delete;
  AutocastToBfloat16& operator=(const AutocastToBfloat16&) = delete;

 private:
  bool on_;
  bool was_on_ = false;
  at::ScalarType was_type_ = at::kFloat;
};

}  // namespace shoal

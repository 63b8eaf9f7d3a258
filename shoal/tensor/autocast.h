// While it lives, operations of this thread that gain from it compute in a shorter type.
#pragma once

#include <ATen/autocast_mode.h>

#include <optional>

namespace shoal {

// float16 or bfloat16, of the kernels of one kind of device; without a type nothing changes.
class Autocast {
 public:
  explicit Autocast(std::optional<at::ScalarType> type, at::DeviceType device = at::kCPU)
      : device_(device), on_(type.has_value()) {
    if (!on_) return;
    was_on_ = at::autocast::is_autocast_enabled(device_);
    was_type_ = at::autocast::get_autocast_dtype(device_);
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, *type);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    // Casts of the weights are kept while nested; after the update they would be stale.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(device_, was_type_);
    at::autocast::set_autocast_enabled(device_, was_on_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool on_;
  bool was_on_ = false;
  at::ScalarType was_type_ = at::kFloat;
};

}  // namespace shoal

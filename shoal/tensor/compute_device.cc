#include "shoal/tensor/compute_device.h"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

c10::impl::VirtualGuardImpl guard_of(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type());
}

}  // namespace

std::optional<int> gpus_in_sight() {
  if (!c10::impl::hasDeviceGuardImpl(at::kCUDA)) return std::nullopt;
  return c10::impl::VirtualGuardImpl(at::kCUDA).deviceCount();
}

ComputeDevice ComputeDevice::named(const std::string& name, int local_rank) {
  if (name == "cpu") return {};
  check(name == "cuda", "the job's devices are known here");
  const auto count = gpus_in_sight();
  if (!count) {
    throw InvalidInput(
        "[execute] device is \"cuda\", and this LibTorch was built without CUDA: build shoal with "
        "TORCH_PREFIX naming one that has it, or set device = \"cpu\"");
  }
  if (*count == 0) {
    throw InvalidInput(
        "[execute] device is \"cuda\", and LibTorch sees no GPU: look at nvidia-smi and "
        "CUDA_VISIBLE_DEVICES, or set device = \"cpu\"");
  }
  return ComputeDevice(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % *count)));
}

void ComputeDevice::finish() const {
  if (const auto stream = current_stream()) guard_of(device_).synchronizeStream(*stream);
}

std::optional<c10::Stream> ComputeDevice::current_stream() const {
  if (is_cpu()) return std::nullopt;
  return guard_of(device_).getStream(device_);
}

std::optional<c10::Stream> ComputeDevice::new_stream() const {
  if (is_cpu()) return std::nullopt;
  return guard_of(device_).getStreamFromGlobalPool(device_);
}

void StreamMoment::record(const ComputeDevice& device) {
  const auto stream = device.current_stream();
  if (!stream) return;
  if (!event_) event_.emplace(device.device().type());
  event_->record(*stream);
}

void StreamMoment::wait(const ComputeDevice& device) const {
  const auto stream = device.current_stream();
  if (stream && event_) event_->block(*stream);
}

HostMemory::HostMemory(std::vector<at::Tensor> tensors, const ComputeDevice& device, Use use)
    : tensors_(std::move(tensors)), device_(device) {
  buffers_.reserve(tensors_.size());
  for (const at::Tensor& tensor : tensors_) {
    if (device_.is_cpu()) {
      buffers_.push_back(buffer_of(tensor));
      continue;
    }
    // Only from and to pinned memory copies run beside compute.
    const auto options = at::TensorOptions(tensor.scalar_type());
    at::Tensor copy = at::empty(tensor.sizes(), options.pinned_memory(device_.device().is_cuda()));
    if (use != Use::take) copy.copy_(tensor, /*non_blocking=*/true);
    buffers_.push_back(buffer_of(copy));
    copies_.push_back(std::move(copy));
  }
  if (use != Use::take) device_.finish();
}

void HostMemory::write_back() {
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    tensors_[i].copy_(copies_[i], /*non_blocking=*/true);
  }
  device_.finish();
}

}  // namespace shoal

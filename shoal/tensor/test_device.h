// A device for tests: its memory is the host's and its kernels are the CPU's, but its tensors are
// no CPU tensors, and it counts what programs ask of streams. It takes the place of one whose
// kernels no LibTorch of ours has and whose tensors may replace a module's own, as a GPU's may.
#pragma once

#include <ATen/detail/HPUHooksInterface.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/torch.h>

#include <atomic>
#include <cstdlib>
#include <utility>
#include <vector>

#include "shoal/tensor/compute_device.h"

namespace shoal::test_device {

inline constexpr at::DeviceType kType = at::kHPU;
inline std::atomic<int> moments_recorded{0};
inline std::atomic<int> moments_waited_for{0};
inline std::atomic<int> streams_made{0};

inline ComputeDevice device() { return ComputeDevice(at::Device(kType, 0)); }

// Reports to the profiler's slot as LibTorch's own allocators do.
class HostAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    const at::Device device(kType, 0);
    if (bytes == 0) return {nullptr, device};
    auto* const block = static_cast<std::size_t*>(std::malloc(bytes + kHeader));
    *block = bytes;
    report(block, static_cast<std::int64_t>(bytes));
    return {reinterpret_cast<std::byte*>(block) + kHeader, block, &free_block, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static constexpr std::size_t kHeader = 64;
  static void report(void* block, std::int64_t bytes) {
    c10::reportMemoryUsageToProfiler(block, bytes, 0, 0, at::Device(kType, 0));
  }
  static void free_block(void* block) {
    report(block, -static_cast<std::int64_t>(*static_cast<std::size_t*>(block)));
    std::free(block);
  }
};

// Streams are numbers of the calling thread; kernels are done when their call returns.
class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  at::DeviceType type() const override { return kType; }
  at::Device exchangeDevice(at::Device /*device*/) const override { return getDevice(); }
  at::Device getDevice() const override { return {kType, 0}; }
  void setDevice(at::Device /*device*/) const override {}
  void uncheckedSetDevice(at::Device /*device*/) const noexcept override {}
  at::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(at::Device device) const override {
    return c10::Stream(c10::Stream::UNSAFE, device, current());
  }
  c10::Stream getStreamFromGlobalPool(at::Device device, bool /*is_high*/) const override {
    return c10::Stream(c10::Stream::UNSAFE, device, ++streams_made);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return c10::Stream(c10::Stream::UNSAFE, stream.device(), std::exchange(current(), stream.id()));
  }
  void record(void** event, const c10::Stream& /*stream*/, at::DeviceIndex /*device*/,
              c10::EventFlag /*flag*/) const override {
    static int any = 0;
    *event = &any;
    ++moments_recorded;
  }
  void block(void* /*event*/, const c10::Stream& /*stream*/) const override {
    ++moments_waited_for;
  }
  void destroyEvent(void* /*event*/, at::DeviceIndex /*device*/) const noexcept override {}
  bool queryStream(const c10::Stream& /*stream*/) const override { return true; }
  void synchronizeStream(const c10::Stream& /*stream*/) const override {}

 private:
  static c10::StreamId& current() {
    thread_local c10::StreamId id = 0;
    return id;
  }
};

// Tells autograd that there is such a device.
struct Hooks final : at::HPUHooksInterface {
  explicit Hooks(const at::HPUHooksArgs& /*none*/) {}
  void init() const override {}
  bool hasHPU() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(at::DeviceIndex /*device*/) const override { return true; }
  at::DeviceIndex deviceCount() const override { return 1; }
  at::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(at::DeviceIndex /*device*/) const override {}
  at::DeviceIndex exchangeDevice(at::DeviceIndex /*device*/) const override { return 0; }
};

inline at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                                std::optional<at::ScalarType> type,
                                std::optional<at::Layout> /*layout*/,
                                std::optional<at::Device> /*device*/,
                                std::optional<bool> /*pinned*/) {
  static HostAllocator allocator;
  return at::detail::empty_strided_generic(sizes, strides, &allocator,
                                           c10::DispatchKeySet(c10::DispatchKey::HPU),
                                           type.value_or(at::kFloat));
}

inline at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type,
                        std::optional<at::Layout> /*layout*/, std::optional<at::Device> /*device*/,
                        std::optional<bool> /*pinned*/, std::optional<at::MemoryFormat> format) {
  static HostAllocator allocator;
  return at::detail::empty_generic(sizes, &allocator, c10::DispatchKeySet(c10::DispatchKey::HPU),
                                   type.value_or(at::kFloat), format);
}

// The same memory as a tensor of the CPU.
inline at::Tensor seen_from_host(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                       at::TensorOptions(tensor.scalar_type()));
}

inline at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool /*non_blocking*/) {
  seen_from_host(to).copy_(seen_from_host(from));
  return to;
}

inline at::Scalar local_scalar(const at::Tensor& tensor) { return seen_from_host(tensor).item(); }

// The CPU's kernel on the same memory: what it writes, also where no schema says so, is written.
inline void fall_back(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::size_t count = op.schema().arguments().size();
  std::vector<std::pair<at::Tensor, at::Tensor>> seen;  // by the host, and as given
  const auto see = [&](const at::Tensor& given) {
    if (!given.defined() || given.is_cpu()) return given;
    seen.emplace_back(seen_from_host(given), given);
    return seen.back().first;
  };
  for (std::size_t i = stack->size() - count; i < stack->size(); ++i) {
    c10::IValue& value = (*stack)[i];
    if (value.isTensor()) {
      value = see(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> all;
      for (const at::Tensor& one : value.toTensorVector()) all.push_back(see(one));
      value = all;
    } else if (value.isDevice()) {
      value = at::Device(at::kCPU);
    }
  }
  op.callBoxed(stack);
  for (std::size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i) {
    c10::IValue& value = (*stack)[i];
    if (!value.isTensor() || !value.toTensor().defined()) continue;
    const at::Tensor made = value.toTensor();
    at::Tensor ours;
    for (const auto& [by_host, given] : seen) {
      if (made.is_same(by_host)) ours = given;
    }
    if (!ours.defined()) {
      ours = at::empty_strided(made.sizes(), made.strides(), made.options().device(kType, 0));
      copy_from(made, ours, false);
    }
    value = ours;
  }
}

}  // namespace shoal::test_device

namespace at {
C10_REGISTER_GUARD_IMPL(HPU, ::shoal::test_device::Guard)
using HPUHooks = ::shoal::test_device::Hooks;
REGISTER_HPU_HOOKS(HPUHooks)
}  // namespace at

TORCH_LIBRARY_IMPL(_, HPU, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&shoal::test_device::fall_back>());
}

TORCH_LIBRARY_IMPL(aten, HPU, library) {
  library.impl("empty.memory_format", &shoal::test_device::empty);
  library.impl("empty_strided", &shoal::test_device::empty_strided);
  library.impl("as_strided", &at::native::as_strided_tensorimpl);
  library.impl("view", &at::native::view);
  library.impl("_copy_from", &shoal::test_device::copy_from);
  library.impl("_local_scalar_dense", &shoal::test_device::local_scalar);
}

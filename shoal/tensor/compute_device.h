// Where a worker computes: the CPU, or an accelerator that this LibTorch has kernels for.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>

#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/group.h"

namespace shoal {

// GPUs that LibTorch sees; none when it was built without CUDA.
std::optional<int> gpus_in_sight();

// Kernels on the CPU are done when their call returns. Elsewhere a call only hands them over to the
// calling thread's stream, which runs them in order. Thread safe.
class ComputeDevice {
 public:
  ComputeDevice() : device_(at::kCPU) {}
  explicit ComputeDevice(at::Device device) : device_(device) {}  // with its number, but on the CPU

  // "cpu"; "cuda": of the GPUs in sight the one with the worker's number on its host, counted
  // around. Throws InvalidInput: why this LibTorch or this machine cannot, and the remedy.
  static ComputeDevice named(const std::string& name, int local_rank);

  at::Device device() const { return device_; }
  bool is_cpu() const { return device_.is_cpu(); }

  // The same tensor where it lies here already; undefined stays undefined.
  at::Tensor move(const at::Tensor& tensor) const {
    return tensor.defined() ? tensor.to(device_) : tensor;
  }

  // Blocks until what the calling thread has handed over is done.
  void finish() const;

  std::optional<c10::Stream> current_stream() const;  // of the calling thread; none on the CPU
  std::optional<c10::Stream> new_stream() const;      // beside those; none on the CPU

 private:
  at::Device device_;
};

// While it lives, the calling thread hands kernels over to `stream`; none changes nothing.
using StreamScope = c10::OptionalStreamGuard;

// A moment of a stream, for other streams to wait for. One thread records; others may wait once
// they know, by a lock or an atomic, that it is recorded. On the CPU nothing happens.
class StreamMoment {
 public:
  void record(const ComputeDevice& device);      // on the calling thread's stream
  void wait(const ComputeDevice& device) const;  // the calling thread's stream, not the thread
 private:
  std::optional<c10::Event> event_;
};

// Tensors as communication needs them, in host memory: their own on the CPU, else copies.
// Borrows contiguous tensors, or those that are after a permutation of their dimensions.
class HostMemory {
 public:
  enum class Use { give, take, both };
  // Blocks until tensors that are given are there.
  HostMemory(std::vector<at::Tensor> tensors, const ComputeDevice& device, Use use);
  const std::vector<Buffer>& buffers() const { return buffers_; }
  // Brings what was taken back to the tensors; blocks until it is there.
  void write_back();

 private:
  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> copies_;  // none on the CPU
  std::vector<Buffer> buffers_;
  ComputeDevice device_;
};

}  // namespace shoal

// Tensors as c10d passes them: any layout, any type, with or without gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <vector>

#include "shoal/comm/group.h"

namespace shoal {

// c10::Error unless it is a dense tensor on the CPU. `operation` names the caller in messages.
void require_dense_cpu(const at::Tensor& tensor, std::string_view operation);
// The only one of a list, which is such a tensor.
const at::Tensor& only_one(const std::vector<at::Tensor>& tensors, std::string_view operation);

// The memory of a contiguous tensor for an operation that only moves it: types that shoal does not
// know count as bytes.
Buffer moved_buffer(const at::Tensor& tensor);

// A tensor in contiguous memory: its own, else a copy with the same contents.
class Dense {
 public:
  explicit Dense(const at::Tensor& tensor);
  Buffer moved() const { return moved_buffer(dense_); }
  // For sums: complex numbers count as pairs of real ones.
  Buffer summed() const;
  const at::Tensor& tensor() const { return dense_; }
  void copy_back() const;  // to the tensor it stands for

 private:
  at::Tensor user_;
  at::Tensor dense_;
};

std::vector<Dense> dense_of(const std::vector<at::Tensor>& tensors);

// A reduction of c10d: shoal's, and by what the inputs are multiplied before (PREMUL_SUM).
struct Reduction {
  ReduceOp op = ReduceOp::sum;
  at::Tensor factor;  // undefined: none
  // Throws c10::Error for what does not exist for the type of the tensor.
  Reduction(const c10d::ReduceOp& op, const at::Tensor& tensor, std::string_view operation);
  void scale(const Dense& input) const;
};

// The sum of sparse (COO) tensors of all ranks replaces `tensor`; the same bits on all. Cost: every
// rank gathers the indices and values of all.
void all_reduce_sparse(Group& group, const at::Tensor& tensor, Deadline deadline);

}  // namespace shoal

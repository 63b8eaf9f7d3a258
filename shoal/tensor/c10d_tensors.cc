#include "shoal/tensor/c10d_tensors.h"

#include <ATen/Functions.h>

#include "shoal/core/error.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

ReduceOp reduce_op(const c10d::ReduceOp& op, std::string_view operation) {
  switch (static_cast<c10d::ReduceOp::RedOpType>(op)) {
    case c10d::ReduceOp::SUM:
    case c10d::ReduceOp::PREMUL_SUM:
      return ReduceOp::sum;
    case c10d::ReduceOp::AVG:
      return ReduceOp::mean;
    case c10d::ReduceOp::PRODUCT:
      return ReduceOp::product;
    case c10d::ReduceOp::MIN:
      return ReduceOp::min;
    case c10d::ReduceOp::MAX:
      return ReduceOp::max;
    case c10d::ReduceOp::BAND:
      return ReduceOp::bit_and;
    case c10d::ReduceOp::BOR:
      return ReduceOp::bit_or;
    case c10d::ReduceOp::BXOR:
      return ReduceOp::bit_xor;
    case c10d::ReduceOp::UNUSED:
      break;
  }
  TORCH_CHECK(false, "shoal ", operation, ": this reduction is not supported");
}

}  // namespace

void require_dense_cpu(const at::Tensor& tensor, std::string_view operation) {
  TORCH_CHECK(tensor.defined(), "shoal ", operation, ": an undefined tensor was given");
  TORCH_CHECK(tensor.layout() == at::kStrided, "shoal ", operation,
              ": dense tensors are needed, one of layout ", tensor.layout(), " was given");
  TORCH_CHECK(tensor.device().is_cpu(), "shoal ", operation, ": this backend serves the CPU; a ",
              "tensor on ", tensor.device(), " was given: move it, or use nccl for it");
}

const at::Tensor& only_one(const std::vector<at::Tensor>& tensors, std::string_view operation) {
  TORCH_CHECK(tensors.size() == 1, "shoal ", operation, ": one tensor is needed, ", tensors.size(),
              " given");
  require_dense_cpu(tensors[0], operation);
  return tensors[0];
}

Buffer moved_buffer(const at::Tensor& tensor) {
  if (known_element_type(tensor.scalar_type())) return buffer_of(tensor);
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes()),
          ElementType::uint8};
}

Dense::Dense(const at::Tensor& tensor) : user_(tensor), dense_(tensor) {
  if (tensor.is_contiguous() && !tensor.is_conj() && !tensor.is_neg()) return;
  const at::NoGradGuard no_grad;
  dense_ = tensor.detach().resolve_conj().resolve_neg().contiguous();
}

Buffer Dense::summed() const {
  return buffer_of(dense_.is_complex() ? at::view_as_real(dense_.detach()) : dense_);
}

void Dense::copy_back() const {
  if (dense_.is_same(user_)) return;
  const at::NoGradGuard no_grad;
  at::Tensor user = user_.detach();
  user.copy_(dense_);
}

std::vector<Dense> dense_of(const std::vector<at::Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

Reduction::Reduction(const c10d::ReduceOp& given, const at::Tensor& tensor,
                     std::string_view operation)
    : op(reduce_op(given, operation)) {
  TORCH_CHECK(!tensor.is_complex() || c10d::isComplexViewAsRealAllowed(given), "shoal ", operation,
              ": complex tensors can only be summed or averaged");
  if (given != c10d::ReduceOp::PREMUL_SUM) return;
  const auto* supplement = dynamic_cast<c10d::NCCLPreMulSumSupplement*>(given.supplement_.get());
  TORCH_CHECK(supplement != nullptr, "shoal ", operation, ": PREMUL_SUM has lost its factor");
  factor = supplement->tensor_factor.defined() ? supplement->tensor_factor
                                               : at::scalar_tensor(supplement->double_factor);
}

void Reduction::scale(const Dense& input) const {
  if (!factor.defined()) return;
  const at::NoGradGuard no_grad;
  at::Tensor values = input.tensor().detach();
  values.mul_(factor.to(values.scalar_type()));
}

void all_reduce_sparse(Group& group, const at::Tensor& tensor, Deadline deadline) {
  const at::NoGradGuard no_grad;
  const std::size_t size = static_cast<std::size_t>(group.size());
  const at::Tensor own = tensor.detach().coalesce();
  const at::Tensor indices = own.indices().contiguous();
  const at::Tensor values = own.values().contiguous();
  std::vector<std::int64_t> stored(size);
  std::vector<std::int64_t> mine{indices.size(1)};
  group.all_gather(buffer(std::span<const std::int64_t>(mine)),
                   buffer(std::span<std::int64_t>(stored)), deadline);

  std::vector<at::Tensor> all_indices(size);
  std::vector<at::Tensor> all_values(size);
  std::vector<Buffer> index_buffers;
  std::vector<Buffer> value_buffers;
  for (std::size_t rank = 0; rank < size; ++rank) {
    std::vector<std::int64_t> shape = values.sizes().vec();
    shape[0] = stored[rank];
    all_indices[rank] = at::empty({indices.size(0), stored[rank]}, indices.options());
    all_values[rank] = at::empty(shape, values.options());
    index_buffers.push_back(moved_buffer(all_indices[rank]));
    value_buffers.push_back(moved_buffer(all_values[rank]));
  }
  group.all_gather(moved_buffer(indices), index_buffers, deadline);
  group.all_gather(moved_buffer(values), value_buffers, deadline);
  const at::Tensor sum =
      at::sparse_coo_tensor(at::cat(all_indices, 1), at::cat(all_values, 0), tensor.sizes())
          .coalesce();
  tensor.copy_(sum);  // not detached: that would have indices and values of its own
}

}  // namespace shoal

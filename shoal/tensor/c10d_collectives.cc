// The collectives of C10dBackend. Each checks what it was given in the caller's thread, and leaves
// the rest to a call that may run later in another.
#include <ATen/Functions.h>

#include "shoal/tensor/c10d_backend.h"
#include "shoal/tensor/c10d_tensors.h"

namespace shoal {
namespace {

using c10d::OpType;
using Tensors = C10dBackend::Tensors;

void require_one_a_rank(const Tensors& list, int size, std::string_view operation) {
  TORCH_CHECK(list.size() == static_cast<std::size_t>(size), "shoal ", operation, ": ", list.size(),
              " tensors were given for ", size, " ranks");
  for (const at::Tensor& tensor : list) require_dense_cpu(tensor, operation);
}

const Tensors& only_list(const std::vector<Tensors>& lists, int size, std::string_view operation) {
  TORCH_CHECK(lists.size() == 1, "shoal ", operation, ": one list of tensors is needed, ",
              lists.size(), " given");
  require_one_a_rank(lists[0], size, operation);
  return lists[0];
}

void require_one_type(const at::Tensor& tensor, const Tensors& others, std::string_view operation) {
  for (const at::Tensor& other : others) {
    TORCH_CHECK(other.scalar_type() == tensor.scalar_type(), "shoal ", operation,
                ": tensors of one type are needed, ", tensor.scalar_type(), " and ",
                other.scalar_type(), " were given");
  }
}

template <typename Borrowed = Buffer>
std::vector<Borrowed> moved(const std::vector<Dense>& tensors) {
  std::vector<Borrowed> buffers;
  for (const Dense& tensor : tensors) buffers.push_back(tensor.moved());
  return buffers;
}

void copy_all_back(const std::vector<Dense>& tensors) {
  for (const Dense& tensor : tensors) tensor.copy_back();
}

// Sums tensors in place: neighbours of one type in one go.
void all_reduce_list(Group& group, const std::vector<Dense>& tensors, const Reduction& reduction,
                     Deadline deadline) {
  std::vector<Buffer> parts;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    reduction.scale(tensors[i]);
    parts.push_back(tensors[i].summed());
    const bool last = i + 1 == tensors.size() ||
                      tensors[i + 1].tensor().scalar_type() != tensors[i].tensor().scalar_type();
    if (!last) continue;
    group.all_reduce(parts, reduction.op, deadline);
    parts.clear();
  }
  copy_all_back(tensors);
}

// The part of an input that goes to, or of an output that comes from, each rank: given rows, or
// equal shares.
Tensors split_rows(const at::Tensor& whole, const std::vector<int64_t>& rows, int size,
                   const char* which) {
  Tensors parts;
  if (rows.empty()) {
    TORCH_CHECK(whole.dim() > 0 && whole.size(0) % size == 0, "shoal all_to_all: the ", which,
                " has ", whole.dim() > 0 ? whole.size(0) : 0, " rows, which ", size,
                " ranks cannot share equally: give split sizes");
    const int64_t share = whole.size(0) / size;
    for (int rank = 0; rank < size; ++rank) parts.push_back(whole.narrow(0, rank * share, share));
    return parts;
  }
  TORCH_CHECK(rows.size() == static_cast<std::size_t>(size), "shoal all_to_all: ", rows.size(),
              " split sizes of the ", which, " were given for ", size, " ranks");
  int64_t begin = 0;
  for (const int64_t count : rows) {
    TORCH_CHECK(count >= 0 && begin + count <= whole.size(0), "shoal all_to_all: the split sizes ",
                "of the ", which, " go beyond its ", whole.size(0), " rows");
    parts.push_back(whole.narrow(0, begin, count));
    begin += count;
  }
  TORCH_CHECK(begin == whole.size(0), "shoal all_to_all: the split sizes of the ", which,
              " add to ", begin, ", but it has ", whole.size(0), " rows");
  return parts;
}

}  // namespace

C10dBackend::WorkPtr C10dBackend::broadcast(Tensors& tensors,
                                            const c10d::BroadcastOptions& options) {
  const Dense data(only_one(tensors, "broadcast"));
  const int root = static_cast<int>(options.rootRank);
  return start(asked(OpType::BROADCAST, "shoal:broadcast", options), tensors, tensors,
               [data, root](Group& group, Deadline deadline) {
                 group.broadcast(data.moved(), root, deadline);
                 data.copy_back();
               });
}

C10dBackend::WorkPtr C10dBackend::allreduce(Tensors& tensors,
                                            const c10d::AllreduceOptions& options) {
  if (tensors.size() == 1 && tensors[0].is_sparse()) return allreduce_sparse(tensors, options);
  const at::Tensor& tensor = only_one(tensors, "all_reduce");
  const Reduction reduction(options.reduceOp, tensor, "all_reduce");
  return start(asked(OpType::ALLREDUCE, "shoal:all_reduce", options), tensors, tensors,
               [data = Dense(tensor), reduction](Group& group, Deadline deadline) {
                 reduction.scale(data);
                 const Buffer part = data.summed();
                 group.all_reduce({&part, 1}, reduction.op, deadline);
                 data.copy_back();
               });
}

C10dBackend::WorkPtr C10dBackend::allreduce_sparse(Tensors& tensors,
                                                   const c10d::AllreduceOptions& options) {
  TORCH_CHECK(tensors.size() == 1 && tensors[0].layout() == at::kSparse,
              "shoal all_reduce: one sparse (COO) tensor is needed");
  TORCH_CHECK(options.reduceOp == c10d::ReduceOp::SUM,
              "shoal all_reduce: sparse tensors can only be summed");
  TORCH_CHECK(tensors[0].device().is_cpu(), "shoal all_reduce: this backend serves the CPU");
  return start(asked(OpType::_ALLREDUCE_SPARSE, "shoal:sparse_all_reduce", options), tensors,
               tensors, [tensor = tensors[0]](Group& group, Deadline deadline) {
                 all_reduce_sparse(group, tensor, deadline);
               });
}

C10dBackend::WorkPtr C10dBackend::allreduce_coalesced(
    Tensors& tensors, const c10d::AllreduceCoalescedOptions& options) {
  TORCH_CHECK(!tensors.empty(), "shoal all_reduce_coalesced: no tensor was given");
  for (const at::Tensor& tensor : tensors) require_dense_cpu(tensor, "all_reduce_coalesced");
  const Reduction reduction(options.reduceOp, tensors[0], "all_reduce_coalesced");
  return start(asked(OpType::ALLREDUCE_COALESCED, "shoal:all_reduce", options), tensors, tensors,
               [data = dense_of(tensors), reduction](Group& group, Deadline deadline) {
                 all_reduce_list(group, data, reduction, deadline);
               });
}

C10dBackend::WorkPtr C10dBackend::reduce(Tensors& tensors, const c10d::ReduceOptions& options) {
  const at::Tensor& tensor = only_one(tensors, "reduce");
  const Reduction reduction(options.reduceOp, tensor, "reduce");
  const int root = static_cast<int>(options.rootRank);
  return start(asked(OpType::REDUCE, "shoal:reduce", options), tensors, tensors,
               [data = Dense(tensor), reduction, root](Group& group, Deadline deadline) {
                 reduction.scale(data);
                 group.reduce(data.summed(), data.summed(), root, reduction.op, deadline);
                 if (group.rank() == root) data.copy_back();
               });
}

C10dBackend::WorkPtr C10dBackend::allgather(Lists& outputs, Tensors& inputs,
                                            const c10d::AllgatherOptions& options) {
  const at::Tensor& input = only_one(inputs, "all_gather");
  const Tensors& list = only_list(outputs, size_, "all_gather");
  require_one_type(input, list, "all_gather");
  return start(asked(OpType::ALLGATHER, "shoal:all_gather", options), inputs, list,
               [in = Dense(input), out = dense_of(list)](Group& group, Deadline deadline) {
                 group.all_gather(in.moved(), moved(out), deadline);
                 copy_all_back(out);
               });
}

C10dBackend::WorkPtr C10dBackend::_allgather_base(at::Tensor& output, at::Tensor& input,
                                                  const c10d::AllgatherOptions& options) {
  Tensors outputs{output};
  Tensors inputs{input};
  return allgather_into_tensor_coalesced(outputs, inputs, options);
}

C10dBackend::WorkPtr C10dBackend::allgather_into_tensor_coalesced(
    Tensors& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) {
  TORCH_CHECK(outputs.size() == inputs.size(), "shoal all_gather: ", inputs.size(), " inputs and ",
              outputs.size(), " outputs were given");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require_dense_cpu(inputs[i], "all_gather");
    require_dense_cpu(outputs[i], "all_gather");
    require_one_type(inputs[i], {outputs[i]}, "all_gather");
    TORCH_CHECK(outputs[i].numel() == inputs[i].numel() * size_, "shoal all_gather: the output ",
                "has ", outputs[i].numel(), " elements, but ", size_, " ranks times ",
                inputs[i].numel(), " are gathered");
  }
  return start(asked(OpType::_ALLGATHER_BASE, "shoal:_all_gather_base", options), inputs, outputs,
               [in = dense_of(inputs), out = dense_of(outputs)](Group& group, Deadline deadline) {
                 for (std::size_t i = 0; i < in.size(); ++i) {
                   group.all_gather(in[i].moved(), out[i].moved(), deadline);
                 }
                 copy_all_back(out);
               });
}

C10dBackend::WorkPtr C10dBackend::allgather_coalesced(Lists& outputs, Tensors& inputs,
                                                      const c10d::AllgatherOptions& options) {
  TORCH_CHECK(outputs.size() == static_cast<std::size_t>(size_),
              "shoal all_gather_coalesced: ", outputs.size(), " lists were given for ", size_,
              " ranks");
  std::vector<std::vector<Dense>> out(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require_dense_cpu(inputs[i], "all_gather_coalesced");
    Tensors from_all;
    for (const Tensors& list : outputs) {
      TORCH_CHECK(list.size() == inputs.size(), "shoal all_gather_coalesced: a list has ",
                  list.size(), " tensors for ", inputs.size(), " inputs");
      require_dense_cpu(list[i], "all_gather_coalesced");
      from_all.push_back(list[i]);
    }
    require_one_type(inputs[i], from_all, "all_gather_coalesced");
    out[i] = dense_of(from_all);
  }
  Tensors flat;
  for (const Tensors& list : outputs) flat.insert(flat.end(), list.begin(), list.end());
  return start(asked(OpType::ALLGATHER_COALESCED, "shoal:all_gather", options), inputs, flat,
               [in = dense_of(inputs), out](Group& group, Deadline deadline) {
                 for (std::size_t i = 0; i < in.size(); ++i) {
                   group.all_gather(in[i].moved(), moved(out[i]), deadline);
                   copy_all_back(out[i]);
                 }
               });
}

C10dBackend::WorkPtr C10dBackend::gather(Lists& outputs, Tensors& inputs,
                                         const c10d::GatherOptions& options) {
  const at::Tensor& input = only_one(inputs, "gather");
  const int root = static_cast<int>(options.rootRank);
  Tensors list;
  if (rank_ == root) {
    list = only_list(outputs, size_, "gather");
    require_one_type(input, list, "gather");
  } else {
    TORCH_CHECK(outputs.empty(), "shoal gather: only rank ", root, " takes outputs");
  }
  return start(asked(OpType::GATHER, "shoal:gather", options), inputs, list,
               [in = Dense(input), out = dense_of(list), root](Group& group, Deadline deadline) {
                 group.gather(in.moved(), moved(out), root, deadline);
                 copy_all_back(out);
               });
}

C10dBackend::WorkPtr C10dBackend::scatter(Tensors& outputs, Lists& inputs,
                                          const c10d::ScatterOptions& options) {
  const at::Tensor& output = only_one(outputs, "scatter");
  const int root = static_cast<int>(options.rootRank);
  Tensors list;
  if (rank_ == root) {
    list = only_list(inputs, size_, "scatter");
    require_one_type(output, list, "scatter");
  } else {
    TORCH_CHECK(inputs.empty(), "shoal scatter: only rank ", root, " takes inputs");
  }
  return start(asked(OpType::SCATTER, "shoal:scatter", options), list, outputs,
               [out = Dense(output), in = dense_of(list), root](Group& group, Deadline deadline) {
                 group.scatter(moved<ConstBuffer>(in), out.moved(), root, deadline);
                 out.copy_back();
               });
}

C10dBackend::WorkPtr C10dBackend::reduce_scatter(Tensors& outputs, Lists& inputs,
                                                 const c10d::ReduceScatterOptions& options) {
  const at::Tensor& output = only_one(outputs, "reduce_scatter");
  const Tensors& list = only_list(inputs, size_, "reduce_scatter");
  require_one_type(output, list, "reduce_scatter");
  const Reduction reduction(options.reduceOp, output, "reduce_scatter");
  return start(asked(OpType::REDUCE_SCATTER, "shoal:reduce_scatter", options), list, outputs,
               [out = Dense(output), list, reduction](Group& group, Deadline deadline) {
                 const at::NoGradGuard no_grad;
                 std::vector<Dense> pieces;
                 std::vector<ConstBuffer> in;
                 for (const at::Tensor& given : list) {
                   pieces.emplace_back(reduction.factor.defined() ? given.clone() : given);
                   reduction.scale(pieces.back());
                   in.emplace_back(pieces.back().summed());
                 }
                 group.reduce_scatter(in, out.summed(), reduction.op, deadline);
                 out.copy_back();
               });
}

C10dBackend::WorkPtr C10dBackend::_reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                                                       const c10d::ReduceScatterOptions& options) {
  Tensors outputs{output};
  Tensors inputs{input};
  return reduce_scatter_tensor_coalesced(outputs, inputs, options);
}

C10dBackend::WorkPtr C10dBackend::reduce_scatter_tensor_coalesced(
    Tensors& outputs, Tensors& inputs, const c10d::ReduceScatterOptions& options) {
  TORCH_CHECK(!inputs.empty() && outputs.size() == inputs.size(),
              "shoal reduce_scatter: ", inputs.size(), " inputs and ", outputs.size(),
              " outputs were given");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require_dense_cpu(inputs[i], "reduce_scatter");
    require_dense_cpu(outputs[i], "reduce_scatter");
    require_one_type(inputs[i], {outputs[i]}, "reduce_scatter");
    TORCH_CHECK(inputs[i].numel() == outputs[i].numel() * size_, "shoal reduce_scatter: the input ",
                "has ", inputs[i].numel(), " elements, but ", size_, " ranks times ",
                outputs[i].numel(), " are needed");
  }
  const Reduction reduction(options.reduceOp, inputs[0], "reduce_scatter");
  return start(asked(OpType::_REDUCE_SCATTER_BASE, "shoal:_reduce_scatter_base", options), inputs,
               outputs,
               [inputs, out = dense_of(outputs), reduction](Group& group, Deadline deadline) {
                 const at::NoGradGuard no_grad;
                 for (std::size_t i = 0; i < inputs.size(); ++i) {
                   const Dense in(reduction.factor.defined() ? inputs[i].clone() : inputs[i]);
                   reduction.scale(in);
                   group.reduce_scatter(in.summed(), out[i].summed(), reduction.op, deadline);
                 }
                 copy_all_back(out);
               });
}

C10dBackend::WorkPtr C10dBackend::alltoall_base(at::Tensor& output, at::Tensor& input,
                                                std::vector<int64_t>& output_splits,
                                                std::vector<int64_t>& input_splits,
                                                const c10d::AllToAllOptions& options) {
  Tensors outputs = split_rows(output, output_splits, size_, "output");
  Tensors inputs = split_rows(input, input_splits, size_, "input");
  return alltoall(outputs, inputs, options);
}

C10dBackend::WorkPtr C10dBackend::alltoall(Tensors& outputs, Tensors& inputs,
                                           const c10d::AllToAllOptions& options) {
  require_one_a_rank(outputs, size_, "all_to_all");
  require_one_a_rank(inputs, size_, "all_to_all");
  require_one_type(inputs[0], inputs, "all_to_all");
  require_one_type(inputs[0], outputs, "all_to_all");
  return start(asked(OpType::ALLTOALL, "shoal:all_to_all", options), inputs, outputs,
               [in = dense_of(inputs), out = dense_of(outputs)](Group& group, Deadline deadline) {
                 group.all_to_all(moved<ConstBuffer>(in), moved(out), deadline);
                 copy_all_back(out);
               });
}

C10dBackend::WorkPtr C10dBackend::barrier(const c10d::BarrierOptions& options) {
  return start(asked(OpType::BARRIER, "shoal:barrier", options), {}, {},
               [](Group& group, Deadline deadline) { group.barrier(deadline); });
}

}  // namespace shoal

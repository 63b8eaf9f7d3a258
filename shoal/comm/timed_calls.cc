#include "shoal/comm/timed_calls.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "shoal/core/error.h"

namespace shoal {
namespace {

// What `rank` puts in at `place`.
float input_at(int rank, std::int64_t place) {
  return static_cast<float>(rank + 1 + static_cast<int>(place & 7));
}

}  // namespace

std::shared_ptr<float> prefaulted_memory(std::int64_t bytes) {
  constexpr std::int64_t kPage = 4096;
  const auto whole = static_cast<std::size_t>((bytes + kPage - 1) / kPage * kPage);
  if (whole == 0) return nullptr;
  std::shared_ptr<float> memory(static_cast<float*>(std::aligned_alloc(kPage, whole)),
                                [](float* data) { std::free(data); });
  if (!memory) throw OutOfMemory("there is no memory left for the buffers: measure smaller sizes");
  std::memset(memory.get(), 0, whole);
  return memory;
}

bool TimedCalls::has_output(Operation operation) {
  return operation == Operation::all_gather || operation == Operation::reduce_scatter ||
         operation == Operation::all_to_all;
}

TimedCalls::TimedCalls(Group& group, Operation operation, std::int64_t most_bytes,
                       bool shared_buffers)
    : group_(group), operation_(operation) {
  const auto memory = [&](std::int64_t bytes) -> std::shared_ptr<float> {
    if (!shared_buffers) return prefaulted_memory(bytes);
    const auto shared = group.allocate(static_cast<std::size_t>(bytes));
    // So that its pages are there.
    std::memset(shared.get(), 0, static_cast<std::size_t>(bytes));
    return {shared, reinterpret_cast<float*>(shared.get())};
  };
  in_memory_ = memory(most_bytes);
  if (has_output(operation)) out_memory_ = memory(most_bytes);
}

void TimedCalls::take_size(std::int64_t bytes) {
  const auto elements = static_cast<std::size_t>(bytes) / sizeof(float);
  const auto ranks = static_cast<std::size_t>(group_.size());
  const std::size_t part = elements / ranks;
  in_ = {in_memory_.get(), operation_ == Operation::all_gather ? part : elements};
  out_ = in_;
  if (has_output(operation_)) {
    out_ = {out_memory_.get(), operation_ == Operation::reduce_scatter ? part : elements};
  }
  in_parts_.clear();
  out_parts_.clear();
  if (operation_ != Operation::all_to_all) return;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    in_parts_.push_back(buffer(in_.subspan(rank * part, part)));
    out_parts_.push_back(buffer(out_.subspan(rank * part, part)));
  }
}

void TimedCalls::write_input() {
  const int rank = group_.rank();
  const auto elements = static_cast<std::int64_t>(in_.size());
  for (std::int64_t i = 0; i < elements; ++i) in_[i] = input_at(rank, i);
}

void TimedCalls::spoil_output() {
  if (has_output(operation_)) std::fill(out_.begin(), out_.end(), -1.0F);
}

void TimedCalls::call(Deadline deadline) {
  const Buffer in = buffer(in_);
  switch (operation_) {
    case Operation::all_reduce:
      return group_.all_reduce({&in, 1}, ReduceOp::sum, deadline);
    case Operation::broadcast:
      return group_.broadcast(in, 0, deadline);
    case Operation::all_gather:
      return group_.all_gather(in, buffer(out_), deadline);
    case Operation::reduce_scatter:
      return group_.reduce_scatter(in, buffer(out_), ReduceOp::sum, deadline);
    case Operation::all_to_all:
      return group_.all_to_all(in_parts_, out_parts_, deadline);
    case Operation::barrier:
      return group_.barrier(deadline);
    case Operation::reduce:
    case Operation::gather:
    case Operation::scatter:
    case Operation::all_gather_lists:
    case Operation::reduce_scatter_lists:
      break;
  }
  throw InvalidInput("this operation is not measured");
}

float TimedCalls::expected(std::int64_t place) const {
  const int rank = group_.rank();
  const int ranks = group_.size();
  const auto part = static_cast<std::int64_t>(out_.size()) / ranks;
  const int sum_of_firsts = ranks * (ranks + 1) / 2;
  const auto sum_at = [&](std::int64_t at) {
    return static_cast<float>(sum_of_firsts + ranks * static_cast<int>(at & 7));
  };
  if (operation_ == Operation::broadcast) return input_at(0, place);
  if (operation_ == Operation::all_gather) {
    return input_at(static_cast<int>(place / part), place % part);
  }
  if (operation_ == Operation::all_to_all) {
    return input_at(static_cast<int>(place / part), rank * part + place % part);
  }
  if (operation_ == Operation::reduce_scatter) {
    return sum_at(rank * static_cast<std::int64_t>(out_.size()) + place);
  }
  return sum_at(place);
}

bool TimedCalls::result_is_right() const {
  const auto elements = static_cast<std::int64_t>(out_.size());
  for (std::int64_t i = 0; i < elements; ++i) {
    if (out_[i] != expected(i)) return false;
  }
  return true;
}

}  // namespace shoal

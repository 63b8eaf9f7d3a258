#include "shoal/comm/shared_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "shoal/comm/reduce_order.h"
#include "shoal/comm/shared_round.h"

namespace shoal {

SharedGroup::SharedGroup(SharedGroupSpec spec, std::shared_ptr<GroupRegistry> registry)
    : spec_(std::move(spec)),
      size_(spec_.region->shape().size),
      arena_(std::make_shared<Arena>(spec_.region, spec_.rank)),
      wait_(spec_),
      messages_(spec_, wait_),
      schedules_(spec_.algorithms, spec_.layout, spec_.rank, size_),
      frames_(spec_, wait_),
      sources_(size_),
      outputs_(size_),
      places_(size_),
      registered_(std::move(registry), *this) {}

SharedGroup::~SharedGroup() { wait_.leave(Ending::left, -1, {}); }

std::uint64_t SharedGroup::bytes_sent() const {
  return bytes_sent_.load(std::memory_order_relaxed);
}

std::shared_ptr<std::byte> SharedGroup::allocate(std::size_t bytes) {
  if (auto memory = arena_->allocate(bytes)) return memory;
  return Group::allocate(bytes);
}

bool SharedGroup::has_message(int from) {
  check_peer(from, spec_.rank, size_, "receive from");
  return messages_.has_message(from);
}

void SharedGroup::abort() {
  wait_.abort({"the group's work", calls_shown_.load(std::memory_order_relaxed), spec_.name});
}

// Each call changes the word in a way that depends on all calls before.
void SharedGroup::remember(std::uint64_t packed_call) {
  calls_shown_.store(++calls_, std::memory_order_relaxed);
  calls_in_one_word_ = (std::rotl(calls_in_one_word_, 23) ^ packed_call) * 0x9e3779b97f4a7c15;
  region()
      .state(spec_.rank)
      .made[calls_ % RankState::kCallsKept]
      .store(packed_call, std::memory_order_relaxed);
}

void SharedGroup::publish(const Round& round) {
  await_room(round);
  StepLine& line = next_line();
  line.calls = calls_in_one_word_;
  line.arrived.advance_to(++steps_);
}

void SharedGroup::await_step(const Round& round) {
  round.awaited_step = steps_;
  bool agree = true;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == spec_.rank) continue;
    wait_.until(region().line(rank, steps_).arrived, steps_, rank, round, round.deadline);
    agree &= round.agrees(rank);
  }
  seen_of_all_ = steps_;
  if (!agree) [[unlikely]]
    wait_.fail(Ending::mismatch, spec_.rank, round.difference().value());
}

void SharedGroup::await_step_of(const Round& round, int rank) {
  round.awaited_step = steps_;
  round.awaited_rank = rank;
  wait_.until(region().line(rank, steps_).arrived, steps_, rank, round, round.deadline);
  round.awaited_rank = -1;
  if (!round.agrees(rank)) [[unlikely]]
    wait_.fail(Ending::mismatch, spec_.rank, round.difference().value());
}

// Until all have come as far as this rank: so that calls are compared at least once a round of
// lines.
void SharedGroup::await_room(const Round& round) {
  if (steps_ - seen_of_all_ < RankState::kLines - 1) [[likely]]
    return;
  await_step(round);
}

std::byte* SharedGroup::own_small_slot(const Round& round) {
  // There are two, for steps in which all wait for all.
  if (seen_of_all_ != steps_) await_step(round);
  return region().small(spec_.rank, static_cast<int>((steps_ + 1) & 1));
}

std::byte* SharedGroup::own_payload(const Round& round, std::size_t bytes) {
  if (bytes > StepLine::kInlineBytes) return own_small_slot(round);
  await_room(round);
  return next_line().payload;
}

void SharedGroup::all_reduce(std::span<const Buffer> buffers, ReduceOp op, Deadline deadline) {
  const Parts parts(buffers);
  check_reduction(Operation::all_reduce, parts.type(), op);
  const Algorithm algorithm = schedules_.algorithm_of(Operation::all_reduce, parts.bytes());
  const Round round(*this, deadline,
                    {.operation = Operation::all_reduce,
                     .type = parts.type(),
                     .op = op,
                     .algorithm = algorithm,
                     .elements = parts.elements()});
  if (size_ == 1) return;
  if (const RankSchedule* const schedule = schedules_.all_reduce(algorithm)) {
    ScheduleRun run(*schedule, parts, op, schedules_.scratch);
    run_frames(round, run);
  } else if (parts.bytes() <= RegionShape::kSmallBytes) {
    std::byte* const direct = buffers.size() == 1 ? buffers[0].data : nullptr;
    alignas(64) std::byte sum[RegionShape::kSmallBytes];
    reduce_small(round, parts, direct != nullptr ? direct : sum);
    if (direct == nullptr) parts.scatter(sum, 0, parts.elements());
  } else {
    reduce_large(round, parts, nullptr);
  }
}

void SharedGroup::reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) {
  check_reduce_scatter(in, out, op, size_);
  const Algorithm algorithm = schedules_.algorithm_of(Operation::reduce_scatter, in.bytes());
  const Round round(*this, deadline,
                    {.operation = Operation::reduce_scatter,
                     .type = in.type,
                     .op = op,
                     .algorithm = algorithm,
                     .elements = in.elements});
  if (size_ == 1) {
    if (out.bytes() != 0) std::memmove(out.data, in.data, out.bytes());
    return;
  }
  const Parts input(in);
  const Parts output(std::span<const Buffer>(&out, 1));
  if (const RankSchedule* const schedule = schedules_.reduce_scatter(algorithm)) {
    ScheduleRun run(*schedule, input, output, op, schedules_.scratch);
    run_frames(round, run);
  } else if (in.bytes() <= RegionShape::kSmallBytes) {
    reduce_small(round, input, out.data);
  } else {
    reduce_large(round, input, &output);
  }
}

void SharedGroup::barrier(Deadline deadline) {
  const Round round(*this, deadline, {.operation = Operation::barrier});
  if (size_ == 1) return;
  publish(round);
  await_step(round);
}

void SharedGroup::meet(Deadline deadline) {
  barrier(deadline);
  calls_ = 0;
}

// One step: everybody sees everything and sums by itself, in the same order.
void SharedGroup::reduce_small(const Round& round, const Parts& in, std::byte* out) {
  in.gather(0, in.elements(), own_payload(round, in.bytes()));
  bytes_sent_.fetch_add(in.bytes() * (size_ - 1), std::memory_order_relaxed);
  publish(round);
  await_step(round);
  const std::size_t bytes = in.bytes();
  reduce_whole(round.call, spec_.rank, size_, out, [&](int rank) { return payload(rank, bytes); });
}

void SharedGroup::reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) {
  check_reduce(in, out, root, op, spec_.rank, size_);
  const Round round(*this, deadline,
                    {.operation = Operation::reduce,
                     .type = in.type,
                     .op = op,
                     .root = root,
                     .elements = in.elements});
  if (size_ == 1) {
    if (in.elements != 0) std::memmove(out.data, in.data, in.bytes());
    return;
  }
  const Parts input(in);
  const Parts output(spec_.rank == root ? out : Buffer{nullptr, 0, in.type});
  ScheduleRun run(schedules_.reduce(root), input, output, op, schedules_.scratch);
  run_frames(round, run);
}

void SharedGroup::run_frames(const Round& round, FrameRun& run) {
  publish(round);
  await_step(round);
  bytes_sent_.fetch_add(frames_.run(run, round, round.deadline), std::memory_order_relaxed);
}

void SharedGroup::send(ConstBuffer data, int to, Deadline deadline) {
  check_peer(to, spec_.rank, size_, "send to");
  wait_.rethrow_if_spent();
  messages_.send(data, to, deadline);
  bytes_sent_.fetch_add(data.bytes(), std::memory_order_relaxed);
}

void SharedGroup::receive(Buffer data, int from, Deadline deadline) {
  check_peer(from, spec_.rank, size_, "receive from");
  wait_.rethrow_if_spent();
  messages_.receive(data, from, deadline);
}

}  // namespace shoal

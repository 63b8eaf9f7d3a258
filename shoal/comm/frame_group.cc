#include "shoal/comm/frame_group.h"

#include <cstring>

#include "shoal/comm/checks.h"
#include "shoal/comm/forming.h"
#include "shoal/comm/reduce_order.h"
#include "shoal/comm/transfer_run.h"

namespace shoal {
namespace {

Meeting meeting_of(int rank, int size, bool everybody) {
  std::vector<bool> others(static_cast<std::size_t>(size), everybody);
  others[rank] = false;
  return {others, others};
}

}  // namespace

FrameGroupSpec frame_spec_of(const Forming& forming) {
  FrameGroupSpec spec;
  spec.name = forming.name;
  spec.rank = forming.rank;
  spec.size = static_cast<int>(forming.ranks.size());
  spec.engine = name_of(forming.engine);
  spec.wires = FrameWires(spec.size);
  spec.algorithms = forming.algorithms;
  spec.layout = forming.layout;
  spec.tear = forming.options.tear_bytes;
  spec.patience = forming.members->patience();
  spec.dead = [all = forming.members, ranks = forming.ranks] { return all->dead(ranks); };
  return spec;
}

FrameGroup::FrameGroup(FrameGroupSpec spec, std::shared_ptr<GroupRegistry> registry)
    : spec_(std::move(spec)),
      standing_(spec_),
      messages_(standing_),
      links_(standing_, messages_),
      schedules_(spec_.algorithms, spec_.layout, spec_.rank, spec_.size),
      nobody_(meeting_of(spec_.rank, spec_.size, false)),
      everybody_(meeting_of(spec_.rank, spec_.size, true)),
      registered_(std::move(registry), *this) {}

FrameGroup::~FrameGroup() {
  links_.say_farewell();
  messages_.say_farewell();
}

std::uint64_t FrameGroup::bytes_sent() const {
  return links_.bytes_queued() + message_bytes_.load(std::memory_order_relaxed);
}

std::uint64_t FrameGroup::bytes_between_hosts() const {
  return links_.bytes_between_hosts() +
         message_bytes_between_hosts_.load(std::memory_order_relaxed);
}

bool FrameGroup::has_message(int from) {
  check_peer(from, spec_.rank, spec_.size, "receive from");
  return messages_.has_message(from);
}

void FrameGroup::abort() {
  standing_.spend(std::make_exception_ptr(Cancelled("group " + spec_.name + " was aborted")),
                  Ending::cancelled, spec_.rank, {});
}

FrameRound FrameGroup::round(const Call& call, Deadline deadline) {
  standing_.rethrow_if_spent();
  FrameRound round;
  round.call = call;
  round.packed = call.packed();
  round.number = ++calls_;
  round.deadline = deadline;
  round.seen.resize(static_cast<std::size_t>(spec_.size));
  return round;
}

void FrameGroup::meet(FrameRound& round) {
  AllToAllFrames frames(links_, round, spec_.rank, spec_.size);
  frames.start(nullptr, 0, nullptr, 0);
  links_.run(frames, round);
}

void FrameGroup::all_reduce(std::span<const Buffer> buffers, ReduceOp op, Deadline deadline) {
  const Parts parts(buffers);
  check_reduction(Operation::all_reduce, parts.type(), op);
  const Algorithm algorithm = schedules_.algorithm_of(Operation::all_reduce, parts.bytes());
  FrameRound round = this->round({.operation = Operation::all_reduce,
                                  .type = parts.type(),
                                  .op = op,
                                  .algorithm = algorithm,
                                  .elements = parts.elements()},
                                 deadline);
  if (spec_.size == 1) return;
  const auto elements = static_cast<std::int64_t>(parts.elements());
  if (const RankSchedule* const schedule = schedules_.all_reduce(algorithm)) {
    ScheduleRun run(*schedule, parts, op, schedules_.scratch);
    run_schedule(round, run, algorithm);
  } else if (parts.bytes() * static_cast<std::size_t>(spec_.size - 1) <= kSmallBytes) {
    std::vector<std::byte> sum(parts.bytes());
    reduce_small(round, parts, sum.data());
    parts.scatter(sum.data(), 0, parts.elements());
  } else {
    const auto slice = [&](int rank) { return part_of(elements, spec_.size, rank); };
    std::vector<int> everybody;
    for (int rank = 0; rank < spec_.size; ++rank) everybody.push_back(rank);
    SegmentExchange exchange(links_, round, spec_.rank, spec_.size,
                             {.in = &parts,
                              .out = &parts,
                              .in_slice = slice,
                              .out_slice = slice,
                              .first_phase = true,
                              .givers = everybody,
                              .reduce = reduction_of(parts.type(), op)},
                             scratch_);
    exchange.start();
    links_.run(exchange, round);
  }
}

void FrameGroup::reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) {
  check_reduce_scatter(in, out, op, spec_.size);
  const Algorithm algorithm = schedules_.algorithm_of(Operation::reduce_scatter, in.bytes());
  FrameRound round = this->round({.operation = Operation::reduce_scatter,
                                  .type = in.type,
                                  .op = op,
                                  .algorithm = algorithm,
                                  .elements = in.elements},
                                 deadline);
  if (spec_.size == 1) {
    if (out.bytes() != 0) std::memmove(out.data, in.data, out.bytes());
    return;
  }
  const Parts input(in);
  const Parts output(std::span<const Buffer>(&out, 1));
  if (const RankSchedule* const schedule = schedules_.reduce_scatter(algorithm)) {
    ScheduleRun run(*schedule, input, output, op, schedules_.scratch);
    run_schedule(round, run, algorithm);
  } else if (in.bytes() * static_cast<std::size_t>(spec_.size - 1) <= kSmallBytes) {
    reduce_small(round, input, out.data);
  } else {
    const auto piece = static_cast<std::int64_t>(out.elements);
    SegmentExchange exchange(links_, round, spec_.rank, spec_.size,
                             {.in = &input,
                              .out = &output,
                              .in_slice =
                                  [piece](int rank) {
                                    return Range{rank * piece, (rank + 1) * piece};
                                  },
                              .out_slice =
                                  [piece](int) {
                                    return Range{0, piece};
                                  },
                              .first_phase = true,
                              .givers = {},
                              .reduce = reduction_of(in.type, op)},
                             scratch_);
    exchange.start();
    links_.run(exchange, round);
  }
}

void FrameGroup::reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) {
  check_reduce(in, out, root, op, spec_.rank, spec_.size);
  FrameRound round = this->round({.operation = Operation::reduce,
                                  .type = in.type,
                                  .op = op,
                                  .root = root,
                                  .elements = in.elements},
                                 deadline);
  if (spec_.size == 1) {
    if (in.elements != 0) std::memmove(out.data, in.data, in.bytes());
    return;
  }
  const Parts input(in);
  const Parts output(spec_.rank == root ? out : Buffer{nullptr, 0, in.type});
  ScheduleRun run(schedules_.reduce(root), input, output, op, schedules_.scratch);
  run_frames(round, run, everybody_);
}

// The sizes that each rank gives go before, so that those that do not fit have names.
void FrameGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                          std::span<const Buffer> out, Deadline deadline) {
  FrameRound round = this->round(call, deadline);
  const std::size_t size = in.size();
  std::vector<std::uint64_t> table(size * size);  // row r: what rank r gives to each
  for (std::size_t rank = 0; rank < size; ++rank) {
    table[spec_.rank * size + rank] = in[rank].elements;
  }
  if (size > 1) {
    auto* const memory = reinterpret_cast<std::byte*>(table.data());
    const std::size_t row = size * sizeof(std::uint64_t);
    AllToAllFrames frames(links_, round, spec_.rank, spec_.size);
    frames.start(memory + spec_.rank * row, row, memory, row);
    links_.run(frames, round);
  }
  for (int giver = 0; giver < spec_.size; ++giver) {
    const std::uint64_t given = table[giver * size + spec_.rank];
    if (given == out[giver].elements) continue;
    const Place place{std::string(name_of(call.operation)), round.number, spec_.name};
    try {
      standing_.fail(Ending::mismatch, giver,
                     sizes_differ(place, giver, given, spec_.rank, out[giver]));
    } catch (const Error&) {
      links_.say_farewell();
      throw;
    }
  }
  TransferRun run(spec_.rank, in, out);
  if (size > 1) run_frames(round, run, nobody_);
}

// The hierarchical ones begin with frames to all of the own host, and each of those answers for its
// host to the others': no call goes unseen.
void FrameGroup::run_schedule(FrameRound& round, FrameRun& run, Algorithm algorithm) {
  run_frames(round, run, algorithm == Algorithm::hierarchical ? nobody_ : everybody_);
}

void FrameGroup::hand_out(FrameRound& round, const RankSchedule& schedule, const Parts& parts,
                          const Meeting& meeting) {
  ScheduleRun run(schedule, parts, ReduceOp::max, schedules_.scratch);
  run_frames(round, run, meeting);
}

void FrameGroup::run_frames(FrameRound& round, FrameRun& run, const Meeting& meeting) {
  RunFrames frames(links_, round, run, meeting);
  frames.start();
  links_.run(frames, round);
  run.finish();
}

// Everybody gets everything and sums by itself, in the same order.
void FrameGroup::reduce_small(FrameRound& round, const Parts& in, std::byte* out) {
  const std::size_t bytes = in.bytes();
  if (scratch_.size() < bytes * static_cast<std::size_t>(spec_.size)) {
    scratch_.resize(bytes * static_cast<std::size_t>(spec_.size));
  }
  std::byte* const own = scratch_.data() + bytes * static_cast<std::size_t>(spec_.rank);
  in.gather(0, in.elements(), own);
  AllToAllFrames frames(links_, round, spec_.rank, spec_.size);
  frames.start(own, bytes, scratch_.data(), bytes);
  links_.run(frames, round);
  reduce_whole(round.call, spec_.rank, spec_.size, out,
               [&](int rank) { return scratch_.data() + bytes * static_cast<std::size_t>(rank); });
}

void FrameGroup::barrier(Deadline deadline) {
  FrameRound round = this->round({.operation = Operation::barrier}, deadline);
  if (spec_.size == 1) return;
  const RankSchedule* const schedule = schedules_.barrier();
  if (schedule == nullptr) return meet(round);
  hand_out(round, *schedule, Parts(ConstBuffer{}), nobody_);
}

void FrameGroup::broadcast(Buffer data, int root, Deadline deadline) {
  check_root(Operation::broadcast, root, spec_.size);
  const Parts parts(std::span<const Buffer>(&data, 1));
  FrameRound round = this->round({.operation = Operation::broadcast,
                                  .type = data.type,
                                  .root = root,
                                  .elements = data.elements},
                                 deadline);
  if (spec_.size == 1) return;
  const Algorithm algorithm = schedules_.algorithm_of(Operation::broadcast, data.bytes());
  if (const RankSchedule* const schedule = schedules_.broadcast(algorithm, root)) {
    // The root hears from all, so that their calls are compared.
    Meeting meeting = nobody_;
    if (spec_.rank == root) {
      meeting.hears = everybody_.hears;
    } else {
      meeting.tells[root] = true;
    }
    return hand_out(round, *schedule, parts, meeting);
  }
  const auto whole = [&](int) { return Range{0, static_cast<std::int64_t>(data.elements)}; };
  SegmentExchange exchange(links_, round, spec_.rank, spec_.size,
                           {.out = &parts, .in_slice = whole, .out_slice = whole, .givers = {root}},
                           scratch_);
  exchange.start();
  links_.run(exchange, round);
}

void FrameGroup::all_gather(ConstBuffer in, Buffer out, Deadline deadline) {
  check_all_gather(in, out, spec_.size);
  const Parts parts(std::span<const Buffer>(&out, 1));
  FrameRound round = this->round(
      {.operation = Operation::all_gather, .type = in.type, .elements = in.elements}, deadline);
  const std::size_t bytes = in.bytes();
  std::byte* const own = out.data + bytes * static_cast<std::size_t>(spec_.rank);
  if (bytes != 0 && own != in.data) std::memmove(own, in.data, bytes);
  if (spec_.size == 1) return;
  const Algorithm algorithm = schedules_.algorithm_of(Operation::all_gather, out.bytes());
  if (const RankSchedule* const schedule = schedules_.all_gather(algorithm)) {
    return hand_out(round, *schedule, parts, nobody_);
  }
  const auto piece = static_cast<std::int64_t>(in.elements);
  const auto slice = [piece](int rank) { return Range{rank * piece, (rank + 1) * piece}; };
  std::vector<int> everybody;
  for (int rank = 0; rank < spec_.size; ++rank) everybody.push_back(rank);
  SegmentExchange exchange(
      links_, round, spec_.rank, spec_.size,
      {.out = &parts, .in_slice = slice, .out_slice = slice, .givers = everybody}, scratch_);
  exchange.start();
  links_.run(exchange, round);
}

void FrameGroup::send(ConstBuffer data, int to, Deadline deadline) {
  check_peer(to, spec_.rank, spec_.size, "send to");
  standing_.rethrow_if_spent();
  try {
    messages_.send(data, to, deadline);
  } catch (const Error&) {
    messages_.say_farewell();
    throw;
  }
  message_bytes_.fetch_add(data.bytes(), std::memory_order_relaxed);
  if (spec_.layout.leaves_host(spec_.rank, to)) {
    message_bytes_between_hosts_.fetch_add(data.bytes(), std::memory_order_relaxed);
  }
}

void FrameGroup::receive(Buffer data, int from, Deadline deadline) {
  check_peer(from, spec_.rank, spec_.size, "receive from");
  standing_.rethrow_if_spent();
  try {
    messages_.receive(data, from, deadline);
  } catch (const Error&) {
    messages_.say_farewell();
    throw;
  }
}

}  // namespace shoal

#include "shoal/comm/schedule_run.h"

#include <algorithm>
#include <cstring>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

constexpr std::uint32_t kFrameBits = 20;  // of a frame's number; the rest says which transfer

// Narrow and wide values lie beside each other in scratch memory: each transfer's begin aligned.
constexpr std::size_t whole_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

void room_for(std::vector<std::byte>& memory, std::size_t bytes) {
  if (memory.size() < bytes) memory.resize(bytes);
}

// Engines have ways of their own of two_shot, and of what has no other algorithm.
bool has_schedule(Operation operation, Algorithm algorithm) {
  return algorithm != Algorithm::two_shot && has_algorithm(operation, algorithm);
}

}  // namespace

// An algorithm that was asked for by name may not fit the layout: that is to be said at once.
GroupSchedules::GroupSchedules(AlgorithmPolicy policy, const NetworkLayout& layout, int rank,
                               int size)
    : policy_(std::move(policy)), layout_(layout), rank_(rank), size_(size) {
  all_reduce(policy_.otherwise());
}

template <typename Make>
const RankSchedule& GroupSchedules::kept(Operation operation, Algorithm algorithm, int root,
                                         const Make& make) {
  const auto [found, is_new] = kept_.try_emplace({operation, algorithm, root});
  if (is_new) found->second = rank_schedule(make(), rank_);
  return found->second;
}

const RankSchedule* GroupSchedules::all_reduce(Algorithm algorithm) {
  if (!has_schedule(Operation::all_reduce, algorithm)) return nullptr;
  return &kept(Operation::all_reduce, algorithm, 0,
               [&] { return schedule_of(algorithm, size_, layout_); });
}

const RankSchedule* GroupSchedules::reduce_scatter(Algorithm algorithm) {
  if (!has_schedule(Operation::reduce_scatter, algorithm)) return nullptr;
  return &kept(Operation::reduce_scatter, algorithm, 0,
               [&] { return reduce_scatter_schedule_of(algorithm, size_, layout_); });
}

const RankSchedule* GroupSchedules::all_gather(Algorithm algorithm) {
  if (!has_schedule(Operation::all_gather, algorithm)) return nullptr;
  return &kept(Operation::all_gather, algorithm, 0,
               [&] { return hierarchical_all_gather(size_, layout_.hosts); });
}

const RankSchedule* GroupSchedules::broadcast(Algorithm algorithm, int root) {
  if (!has_schedule(Operation::broadcast, algorithm)) return nullptr;
  return &kept(Operation::broadcast, algorithm, root,
               [&] { return hierarchical_broadcast(size_, layout_.hosts, root); });
}

const RankSchedule* GroupSchedules::barrier() {
  const Algorithm algorithm = policy_.otherwise();
  return algorithm == Algorithm::hierarchical ? all_reduce(algorithm) : nullptr;
}

const RankSchedule& GroupSchedules::reduce(int root) {
  const Algorithm algorithm = policy_.otherwise();
  return kept(Operation::reduce, algorithm, root,
              [&] { return reduce_schedule_of(algorithm, size_, root, layout_); });
}

ScheduleRun::ScheduleRun(const RankSchedule& schedule, const Parts& parts, ReduceOp op,
                         ScheduleScratch& scratch)
    : ScheduleRun(schedule, parts, parts, op, scratch, true) {}

ScheduleRun::ScheduleRun(const RankSchedule& schedule, const Parts& in, const Parts& out,
                         ReduceOp op, ScheduleScratch& scratch)
    : ScheduleRun(schedule, in, out, op, scratch, false) {}

ScheduleRun::ScheduleRun(const RankSchedule& schedule, const Parts& in, const Parts& out,
                         ReduceOp op, ScheduleScratch& scratch, bool in_place)
    : known_(schedule),
      schedule_(schedule.schedule),
      rank_(schedule.rank),
      in_(in),
      out_(out),
      scratch_(scratch),
      in_place_(in_place),
      element_(size_of(in.type())),
      wide_(size_of(wide_type(in.type()))),
      holds_(!in_place || wide_ != element_),
      divides_(op == ReduceOp::mean),
      form_(wide_form_of(in.type())),
      reduce_(reduction_of(wide_type(in.type()), divides_ ? ReduceOp::sum : op)) {
  cut();
  plan_moves();
  plan_scratch();
}

// --- before the first frame ---------------------------------------------------------------------

void ScheduleRun::cut() {
  const auto most = static_cast<std::int64_t>(kSegmentBytes / element_);
  for (int chunk = 0; chunk < schedule_.chunks; ++chunk) {
    const Range range = part_of(static_cast<std::int64_t>(in_.elements()), schedule_.chunks, chunk);
    first_cell_of_.push_back(static_cast<int>(cells_.size()));
    std::int64_t begin = range.begin;
    do {  // an empty chunk is one empty cell: its frames still say that their sender is there
      const std::int64_t end = std::min(range.end, begin + most);
      cells_.push_back({begin, end});
      chunk_of_.push_back(chunk);
      begin = end;
    } while (begin < range.end);
  }
  first_cell_of_.push_back(static_cast<int>(cells_.size()));
  done_.resize(cells_.size());
}

ScheduleRun::Cells ScheduleRun::cells_of(const Transfer& transfer) const {
  return {first_cell_of_[transfer.first], first_cell_of_[transfer.first + transfer.chunks]};
}

void ScheduleRun::plan_moves() {
  arrivals_.resize(static_cast<std::size_t>(schedule_.chunks));
  std::vector<std::uint32_t> sent(static_cast<std::size_t>(schedule_.size));
  std::vector<std::uint32_t> received(sent);
  for (std::size_t i = 0; i < schedule_.transfers.size(); ++i) {
    const Transfer& transfer = schedule_.transfers[i];
    if (transfer.from != rank_ && transfer.to != rank_) continue;
    const bool sends = transfer.from == rank_;
    Move move{.peer = sends ? transfer.to : transfer.from,
              .step = transfer.step,
              .effect = transfer.effect,
              .cells = cells_of(transfer),
              .wide = known_.carries_partial_sum[i]};
    move.next = move.cells.begin;
    move.ordinal = sends ? sent[move.peer]++ : received[move.peer]++;
    if (sends) {
      out_moves_.push_back(move);
      continue;
    }
    const int number = static_cast<int>(in_moves_.size());
    in_moves_.push_back(move);
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      std::vector<Arrival>& arrivals = arrivals_[chunk];
      if (arrivals.empty() || arrivals.back().step != transfer.step) {
        arrivals.push_back({transfer.step, {}});
      }
      arrivals.back().moves.push_back(number);
    }
  }
  for (auto& arrivals : arrivals_) {
    for (Arrival& arrival : arrivals) {
      std::sort(arrival.moves.begin(), arrival.moves.end(),
                [&](int a, int b) { return in_moves_[a].peer < in_moves_[b].peer; });
    }
  }
}

void ScheduleRun::plan_scratch() {
  std::size_t incoming = 0;
  for (Move& move : in_moves_) {
    move.through_scratch = move.effect == Transfer::Effect::add;
    if (!move.through_scratch) continue;
    move.scratch_at = incoming;
    incoming += whole_lines(static_cast<std::size_t>(elements(move.cells)) * wire_bytes(move));
  }
  std::size_t outgoing = 0;
  for (Move& move : out_moves_) {
    // A whole sum that lies in float32, or not in the caller's memory, is put in its form first.
    move.through_scratch = !in_place_ && move.effect == Transfer::Effect::replace;
    // What is summed into later must not change while it is being sent.
    for (int chunk = chunk_of(move.cells.begin); chunk <= chunk_of(move.cells.end - 1); ++chunk) {
      for (const Arrival& arrival : arrivals_[chunk]) {
        const bool adds = in_moves_[arrival.moves.front()].effect == Transfer::Effect::add;
        move.through_scratch |= adds && arrival.step >= move.step;
      }
    }
    if (!move.through_scratch) continue;
    move.scratch_at = outgoing;
    outgoing += whole_lines(static_cast<std::size_t>(elements(move.cells)) * wire_bytes(move));
  }
  room_for(scratch_.incoming, incoming);
  room_for(scratch_.outgoing, outgoing);
  if (holds_) room_for(scratch_.held, in_.elements() * wide_);
}

// --- frames -------------------------------------------------------------------------------------

std::int64_t ScheduleRun::elements(Cells cells) const {
  return cells_[cells.end - 1].end - cells_[cells.begin].begin;
}

// Sender and receiver find the same ends: as many cells as fit, at least one.
int ScheduleRun::frame_end(const Move& move) const {
  const auto most = static_cast<std::int64_t>(kSegmentBytes / element_);
  int end = move.next + 1;
  while (end < move.cells.end && elements({move.next, end + 1}) <= most) ++end;
  return end;
}

Stretches ScheduleRun::stretches(const Parts& parts, Cells cells) const {
  Stretches list;
  parts.visit(static_cast<std::size_t>(cells_[cells.begin].begin),
              static_cast<std::size_t>(elements(cells)),
              [&](std::byte* memory, std::size_t count, std::size_t) {
                list.push_back({memory, count * element_});
              });
  return list;
}

bool ScheduleRun::is_ready(const Move& move, int end) const {
  for (int cell = move.next; cell < end; ++cell) {
    const std::vector<Arrival>& arrivals = arrivals_[chunk_of(cell)];
    const auto done = static_cast<std::size_t>(done_[cell]);
    if (done < arrivals.size() && arrivals[done].step < move.step) return false;
  }
  return true;
}

// A frame of each move in turn: where several go to one rank, all of them flow.
void ScheduleRun::send_ready(const Send& send) {
  for (bool sent = true; sent;) {
    sent = false;
    for (Move& move : out_moves_) {
      if (move.next == move.cells.end) continue;
      const Cells frame{move.next, frame_end(move)};
      if (!is_ready(move, frame.end)) continue;
      send(move.peer, move.ordinal << kFrameBits | move.frame, payload(move, frame));
      move.next = frame.end;
      ++move.frame;
      sent = true;
      if (!move.through_scratch) continue;
      // What came for these cells may have waited for this.
      for (int cell = frame.begin; cell < frame.end; ++cell) advance(cell);
    }
  }
}

// The caller's memory itself wherever it holds what goes and stays as it is.
Stretches ScheduleRun::payload(Move& move, Cells cells) {
  const auto begin = static_cast<std::size_t>(cells_[cells.begin].begin);
  const auto count = static_cast<std::size_t>(elements(cells));
  const bool from_held = move.wide && holds_;
  if (!move.through_scratch) {
    if (from_held) return {{scratch_.held.data() + begin * wide_, count * wide_}};
    return stretches(in_, cells);
  }
  const auto before = begin - static_cast<std::size_t>(cells_[move.cells.begin].begin);
  std::byte* const copy = scratch_.outgoing.data() + move.scratch_at + before * wire_bytes(move);
  if (!in_place_ && move.effect == Transfer::Effect::replace) {
    form_.narrow(scratch_.held.data() + begin * wide_, copy, count);
  } else if (from_held) {
    if (count != 0) std::memcpy(copy, scratch_.held.data() + begin * wide_, count * wide_);
  } else {
    in_.gather(begin, count, copy);
  }
  return {{copy, count * wire_bytes(move)}};
}

const ScheduleRun::Move* ScheduleRun::incoming(int from, std::uint32_t number) const {
  for (const Move& move : in_moves_) {
    if (move.peer == from && move.ordinal == number >> kFrameBits) {
      const bool is_next = move.next < move.cells.end &&
                           move.frame == (number & ((std::uint32_t{1} << kFrameBits) - 1));
      return is_next ? &move : nullptr;
    }
  }
  return nullptr;
}

Stretches ScheduleRun::place(int from, std::uint32_t number) const {
  const Move* const move = incoming(from, number);
  if (move == nullptr) return {};
  const Cells cells{move->next, frame_end(*move)};
  if (!move->through_scratch) return stretches(out_, cells);
  const auto before =
      static_cast<std::size_t>(cells_[cells.begin].begin - cells_[move->cells.begin].begin);
  return {{scratch_.incoming.data() + move->scratch_at + before * wire_bytes(*move),
           static_cast<std::size_t>(elements(cells)) * wire_bytes(*move)}};
}

void ScheduleRun::arrived(int from, std::uint32_t number) {
  Move* const move = const_cast<Move*>(incoming(from, number));
  check(move != nullptr, "a frame that has arrived was placed before");
  const Cells cells{move->next, frame_end(*move)};
  move->next = cells.end;
  ++move->frame;
  for (int cell = cells.begin; cell < cells.end; ++cell) advance(cell);
}

bool ScheduleRun::awaits(int from) const {
  return std::any_of(in_moves_.begin(), in_moves_.end(), [&](const Move& move) {
    return move.peer == from && move.next < move.cells.end;
  });
}

// --- sums ---------------------------------------------------------------------------------------

// Deals with what has come of a cell, step by step.
void ScheduleRun::advance(int cell) {
  const std::vector<Arrival>& arrivals = arrivals_[chunk_of(cell)];
  for (int& done = done_[cell]; done < std::ssize(arrivals); ++done) {
    const Arrival& arrival = arrivals[done];
    for (const int move : arrival.moves) {
      if (in_moves_[move].next <= cell) return;
    }
    if (is_owed(cell, arrival.step)) return;
    if (in_moves_[arrival.moves.front()].effect == Transfer::Effect::replace) continue;
    if (holds_ && done == 0) hold(cell);
    sum(cell, arrival);
    if (known_.completed_by[chunk_of(cell)] == arrival.step) complete(cell);
  }
}

// The sum is whole.
void ScheduleRun::complete(int cell) {
  const Range range = cells_[cell];
  const auto count = static_cast<std::size_t>(range.size());
  if (holds_) {
    if (divides_) form_.divide(held(cell), schedule_.size, count);
    if (!in_place_) return;
  }
  in_.visit(range.begin, count, [&](std::byte* to, std::size_t n, std::size_t before) {
    if (holds_) {
      form_.narrow(held(cell) + before * wide_, to, n);
    } else if (divides_) {
      form_.divide(to, schedule_.size, n);
    }
  });
}

// Whether what the rank holds of a cell must still be sent before a step changes it.
bool ScheduleRun::is_owed(int cell, int step) const {
  return std::any_of(out_moves_.begin(), out_moves_.end(), [&](const Move& move) {
    return move.through_scratch && move.step <= step && move.cells.begin <= cell &&
           cell < move.cells.end && move.next <= cell;
  });
}

// The own contribution, as the first partial sum.
void ScheduleRun::hold(int cell) {
  const Range range = cells_[cell];
  in_.visit(range.begin, range.size(), [&](std::byte* own, std::size_t n, std::size_t before) {
    form_.widen(own, held(cell) + before * wide_, n);
  });
}

// In the order of ranks, the own one at its place.
void ScheduleRun::sum(int cell, const Arrival& arrival) {
  const Range range = cells_[cell];
  std::vector<const std::byte*> sources;
  std::size_t own_place = 0;
  for (const int number : arrival.moves) {
    const Move& move = in_moves_[number];
    if (move.peer < rank_) ++own_place;
    sources.push_back(widened(move, cell, sources.size()));
  }
  sources.insert(sources.begin() + static_cast<std::ptrdiff_t>(own_place), nullptr);
  if (holds_) {
    std::byte* const to = held(cell);
    sources[own_place] = to;
    reduce_(sources, {&to, 1}, static_cast<std::size_t>(range.size()));
    return;
  }
  std::vector<const std::byte*> here(sources);
  in_.visit(range.begin, range.size(), [&](std::byte* own, std::size_t n, std::size_t before) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      here[i] = i == own_place ? own : sources[i] + before * element_;
    }
    reduce_(here, {&own, 1}, n);
  });
}

// What came of a cell, in wide_type. `place` tells apart what several ranks sent.
const std::byte* ScheduleRun::widened(const Move& move, int cell, std::size_t place) {
  const auto before = static_cast<std::size_t>(cells_[cell].begin - cells_[move.cells.begin].begin);
  const std::byte* const came =
      scratch_.incoming.data() + move.scratch_at + before * wire_bytes(move);
  if (move.wide || wide_ == element_) return came;
  const std::size_t most = kMostFrameBytes;
  room_for(scratch_.widened, most * static_cast<std::size_t>(schedule_.size));
  std::byte* const wide = scratch_.widened.data() + place * most;
  form_.widen(came, wide, static_cast<std::size_t>(cells_[cell].size()));
  return wide;
}

void ScheduleRun::finish() {
  if (in_place_ || out_.elements() == 0) return;
  const Range own = part_of(static_cast<std::int64_t>(in_.elements()), schedule_.chunks, rank_);
  const bool whole_vector = out_.elements() == in_.elements();
  const std::byte* const sum = scratch_.held.data() + static_cast<std::size_t>(own.begin) * wide_;
  out_.visit(whole_vector ? static_cast<std::size_t>(own.begin) : 0,
             static_cast<std::size_t>(own.size()),
             [&](std::byte* to, std::size_t n, std::size_t before) {
               form_.narrow(sum + before * wide_, to, n);
             });
}

}  // namespace shoal

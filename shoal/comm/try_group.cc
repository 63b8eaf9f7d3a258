#include "shoal/comm/try_group.h"

#include <fmt/format.h>

#include <cstring>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/call.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/world.h"

namespace shoal {
namespace {

using Bytes = std::vector<std::byte>;

class Trial {
 public:
  Trial(Group& group, Algorithm algorithm, const NetworkLayout& layout, double seconds)
      : group_(group),
        rank_(group.rank()),
        size_(group.size()),
        seconds_(seconds),
        whole_(schedule_of(algorithm, size_, layout)),
        pieces_(handed_on(reduce_scatter_schedule_of(algorithm, size_, layout), all_ranks(size_))),
        in_order_(schedule_of(Algorithm::two_shot, size_)),
        to_root_(algorithm == Algorithm::hierarchical ? pieces_ : in_order_) {}

  TrialReport run() {
    for (const ElementType type : kAllTypes) {
      for (const ReduceOp op : kAllReductions) {
        if (!can_reduce(type, op)) continue;
        // Serial numbers do not hold products of this type.
        if (type == ElementType::int64 && op == ReduceOp::product) continue;
        reductions(type, op, 611);
      }
    }
    const auto fewer = static_cast<std::size_t>(size_) - 1;
    for (const std::size_t elements :
         {std::size_t{0}, std::size_t{1}, fewer, std::size_t{200001}}) {
      reductions(ElementType::float32, ReduceOp::sum, elements);
    }
    for (const ElementType type : kAllTypes) {
      for (const std::size_t elements : {0, 1, 3001, 300007}) copies(type, elements);
    }
    for (int round = 0; round < 3; ++round) lists();
    messages();
    group_.barrier(deadline());
    return report_;
  }

 private:
  Deadline deadline() const { return Deadline::after_seconds(seconds_); }

  void expect(bool holds, const Call& call) {
    ++report_.results;
    if (holds) return;
    report_.faults.push_back(fmt::format("{}: a wrong result on rank {}", call.text(), rank_));
  }

  void reductions(ElementType type, ReduceOp op, std::size_t elements) {
    const Bytes in = sample_input(type, elements, rank_);
    Bytes values = in;
    const Buffer all{values.data(), elements, type};
    group_.all_reduce({&all, 1}, op, deadline());
    const Bytes whole_sum = serial_sum(whole_, type, op, elements);
    const Call all_reduce{
        .operation = Operation::all_reduce, .type = type, .op = op, .elements = elements};
    expect(values == whole_sum, all_reduce);
    // In memory that the others can reach, where there is such.
    const auto shared = group_.allocate(in.size());
    std::copy(in.begin(), in.end(), shared.get());
    const Buffer reachable{shared.get(), elements, type};
    group_.all_reduce({&reachable, 1}, op, deadline());
    expect(std::equal(whole_sum.begin(), whole_sum.end(), shared.get()), all_reduce);

    const int root = static_cast<int>(elements) % size_;
    Bytes out(in.size());
    group_.reduce({in.data(), elements, type}, {out.data(), elements, type}, root, op, deadline());
    // Elsewhere nothing is written.
    expect(out == (rank_ == root ? serial_sum(to_root_, type, op, elements) : Bytes(out.size())),
           {.operation = Operation::reduce,
            .type = type,
            .op = op,
            .root = root,
            .elements = elements});

    const std::size_t piece = elements / static_cast<std::size_t>(size_);
    const std::size_t even = piece * static_cast<std::size_t>(size_);
    const Bytes pieces = sample_input(type, even, rank_);
    Bytes own(piece * size_of(type));
    group_.reduce_scatter({pieces.data(), even, type}, {own.data(), piece, type}, op, deadline());
    const Bytes sum = serial_sum(pieces_, type, op, even);
    const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(own.size()) * rank_;
    expect(own == Bytes(begin, begin + static_cast<std::ptrdiff_t>(own.size())),
           {.operation = Operation::reduce_scatter, .type = type, .op = op, .elements = even});
    uneven_pieces(type, op, elements);
  }

  // Rank r gets the (r + 1)-th of as many shares as the ranks together are due.
  void uneven_pieces(ElementType type, ReduceOp op, std::size_t elements) {
    const std::size_t share = elements / static_cast<std::size_t>(size_ * (size_ + 1) / 2);
    const auto begin_of = [&](int rank) {
      return share * static_cast<std::size_t>(rank * (rank + 1) / 2);
    };
    const std::size_t whole = begin_of(size_);
    const Bytes values = sample_input(type, whole, rank_);
    std::vector<ConstBuffer> in;
    for (int rank = 0; rank < size_; ++rank) {
      in.emplace_back(values.data() + begin_of(rank) * size_of(type),
                      begin_of(rank + 1) - begin_of(rank), type);
    }
    Bytes out((begin_of(rank_ + 1) - begin_of(rank_)) * size_of(type));
    group_.reduce_scatter(in, {out.data(), out.size() / size_of(type), type}, op, deadline());
    const Bytes sum = serial_sum(in_order_, type, op, whole);
    const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(begin_of(rank_) * size_of(type));
    expect(out == Bytes(begin, begin + static_cast<std::ptrdiff_t>(out.size())),
           {.operation = Operation::reduce_scatter_lists, .type = type, .op = op});
  }

  void copies(ElementType type, std::size_t elements) {
    const int root = static_cast<int>(elements) % size_;
    Bytes values = sample_input(type, elements, rank_);
    group_.broadcast({values.data(), elements, type}, root, deadline());
    expect(values == sample_input(type, elements, root),
           {.operation = Operation::broadcast, .type = type, .root = root, .elements = elements});

    const Bytes in = sample_input(type, elements, rank_);
    Bytes out(in.size() * static_cast<std::size_t>(size_));
    group_.all_gather({in.data(), elements, type}, {out.data(), elements * size_, type},
                      deadline());
    Bytes expected;
    for (int rank = 0; rank < size_; ++rank) {
      const Bytes piece = sample_input(type, elements, rank);
      expected.insert(expected.end(), piece.begin(), piece.end());
    }
    expect(out == expected,
           {.operation = Operation::all_gather, .type = type, .elements = elements});
  }

  // What rank `from` gives rank `to`.
  static std::size_t pair_elements(int from, int to) {
    constexpr std::size_t kSizes[] = {0, 1, 40, 2000, 70001};
    return kSizes[static_cast<std::size_t>(3 * from + 5 * to + from * to) % std::size(kSizes)];
  }
  static Bytes pair_values(int from, int to) {
    return sample_input(ElementType::int32, pair_elements(from, to), 1000 * from + to);
  }

  void lists() {
    constexpr ElementType kType = ElementType::int32;
    std::vector<Bytes> given, taken;
    std::vector<ConstBuffer> in;
    std::vector<Buffer> out;
    for (int peer = 0; peer < size_; ++peer) {
      given.push_back(pair_values(rank_, peer));
      taken.emplace_back(pair_elements(peer, rank_) * size_of(kType));
    }
    for (int peer = 0; peer < size_; ++peer) {
      in.emplace_back(given[peer].data(), pair_elements(rank_, peer), kType);
      out.push_back({taken[peer].data(), pair_elements(peer, rank_), kType});
    }
    group_.all_to_all(in, out, deadline());
    bool right = true;
    for (int peer = 0; peer < size_; ++peer) right &= taken[peer] == pair_values(peer, rank_);
    expect(right, {.operation = Operation::all_to_all, .type = kType});

    const int root = size_ - 1;
    std::vector<Bytes> gathered;
    std::vector<Buffer> places;
    for (int peer = 0; peer < size_; ++peer) {
      gathered.emplace_back(pair_elements(peer, root) * size_of(kType));
    }
    for (int peer = 0; peer < size_; ++peer) {
      places.push_back({gathered[peer].data(), pair_elements(peer, root), kType});
    }
    group_.gather(in[root], places, root, deadline());
    right = true;
    for (int peer = 0; peer < size_; ++peer) {
      // Elsewhere nothing is written.
      right &= gathered[peer] ==
               (rank_ == root ? pair_values(peer, root) : Bytes(gathered[peer].size()));
    }
    expect(right, {.operation = Operation::gather, .type = kType, .root = root});

    const std::vector<ConstBuffer> back(places.begin(), places.end());
    Bytes own(pair_elements(rank_, root) * size_of(kType));
    group_.scatter(back, {own.data(), pair_elements(rank_, root), kType}, root, deadline());
    expect(own == given[root], {.operation = Operation::scatter, .type = kType, .root = root});
    group_.all_gather({own.data(), in[root].elements, kType}, places, deadline());
    right = true;
    for (int peer = 0; peer < size_; ++peer) right &= gathered[peer] == pair_values(peer, root);
    expect(right, {.operation = Operation::all_gather_lists, .type = kType});
  }

  // Round the group, larger than any channel.
  void messages() {
    if (size_ == 1) return;
    const int next = (rank_ + 1) % size_;
    const int before = (rank_ + size_ - 1) % size_;
    for (const std::size_t elements : {0, 1, 1000003}) {
      const Bytes in = sample_input(ElementType::int16, elements, rank_);
      Bytes out(in.size());
      group_.send({in.data(), elements, ElementType::int16}, next, deadline());
      group_.receive({out.data(), elements, ElementType::int16}, before, deadline());
      ++report_.results;
      if (out != sample_input(ElementType::int16, elements, before)) {
        report_.faults.push_back(
            fmt::format("{} x int16 from rank {} came wrong to rank {}", elements, before, rank_));
      }
    }
  }

  Group& group_;
  const int rank_;
  const int size_;
  const double seconds_;
  const Schedule whole_;
  const Schedule pieces_;
  const Schedule in_order_;
  const Schedule& to_root_;  // adds as reduce does
  TrialReport report_;
};

}  // namespace

TrialReport try_group(Group& group, Algorithm algorithm, std::vector<int> hosts, double seconds) {
  return Trial(group, algorithm, {nullptr, std::move(hosts)}, seconds).run();
}

}  // namespace shoal

// Schedules as values: that they are right, what they cost, that faults are found, and that running
// their frames in any order gives the bits that carrying them out step by step gives.
#include "shoal/comm/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <deque>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/schedule_run.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

using Bytes = std::vector<std::byte>;

using testing::Each;
using testing::HasSubstr;
using Effect = Transfer::Effect;

TEST(Schedules, AreAllReducesForEverySize) {
  for (const Algorithm algorithm : kAlgorithms) {
    for (const int size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33}) {
      const Schedule schedule = schedule_of(algorithm, size);
      EXPECT_EQ(problem_of(schedule), "") << name_of(algorithm) << " of " << size;
      EXPECT_EQ(schedule.algorithm, name_of(algorithm));
      EXPECT_EQ(schedule.size, size);
    }
  }
}

TEST(Schedules, ReadAsText) {
  EXPECT_EQ(text_of(ring_schedule(3)),
            "step 0: 0>1 +[2], 1>2 +[0], 2>0 +[1]\n"
            "step 1: 0>1 +[1], 1>2 +[2], 2>0 +[0]\n"
            "step 2: 0>1 =[0], 1>2 =[1], 2>0 =[2]\n"
            "step 3: 0>1 =[2], 1>2 =[0], 2>0 =[1]\n");
  EXPECT_EQ(text_of(rabenseifner_schedule(5)),
            "step 0: 1>0 +[0-3]\n"
            "step 1: 0>3 +[2-3], 2>4 +[2-3], 3>0 +[0-1], 4>2 +[0-1]\n"
            "step 2: 0>2 +[1], 2>0 +[0], 3>4 +[3], 4>3 +[2]\n"
            "step 3: 0>2 =[0], 2>0 =[1], 3>4 =[2], 4>3 =[3]\n"
            "step 4: 0>3 =[0-1], 2>4 =[0-1], 3>0 =[2-3], 4>2 =[2-3]\n"
            "step 5: 0>1 =[0-3]\n");
  EXPECT_EQ(text_of(two_shot_schedule(1)), "");
}

struct Costs {
  Algorithm algorithm;
  int size;
  int steps;
  double most_sent;  // by a rank, in vectors
  double total;      // by all
};

// The forms of the literature: see algorithms.h.
TEST(Schedules, CostWhatTheirFormulasSay) {
  const Costs all[] = {
      {Algorithm::two_shot, 8, 2, 2 * 7 / 8.0, 2 * 7},
      {Algorithm::ring, 8, 14, 2 * 7 / 8.0, 2 * 7},
      {Algorithm::recursive_doubling, 8, 3, 3, 3 * 8},
      {Algorithm::rabenseifner, 8, 6, 2 * 7 / 8.0, 2 * 7},
      {Algorithm::hop_by_hop, 8, 14, 2, 2 * 7},
      {Algorithm::two_shot, 5, 2, 2 * 4 / 5.0, 2 * 4},
      {Algorithm::ring, 5, 8, 2 * 4 / 5.0, 2 * 4},
      {Algorithm::recursive_doubling, 6, 4, 3, 2 * 4 + 4},
      {Algorithm::rabenseifner, 6, 6, 2 * 3 / 4.0 + 1, 2 * 3 + 4},
      {Algorithm::double_tree, 8, 6, 2, 2 * 7},
      {Algorithm::double_tree, 5, 6, 2, 2 * 4},
      {Algorithm::hierarchical, 8, 2, 2 * 7 / 8.0, 2 * 7},  // on one host
  };
  constexpr std::int64_t kElements = 840;  // divides by every number of chunks here
  for (const Costs& costs : all) {
    SCOPED_TRACE(std::string(name_of(costs.algorithm)) + " of " + std::to_string(costs.size));
    const ScheduleCounts counts = count(schedule_of(costs.algorithm, costs.size), kElements);
    const auto most = *std::max_element(counts.sent.begin(), counts.sent.end());
    EXPECT_EQ(counts.steps, costs.steps);
    EXPECT_LE(static_cast<double>(most), costs.most_sent * kElements + 1e-6);
    EXPECT_EQ(static_cast<double>(counts.total), costs.total * kElements);
  }
}

// No rank carries much more than the others: each is inside one tree at most.
TEST(Schedules, TwoTreesShareTheWork) {
  for (const int size : {4, 8, 9, 16, 17, 32}) {
    const ScheduleCounts counts = count(double_tree_schedule(size), 1000);
    EXPECT_THAT(counts.sent, Each(testing::Le(2000))) << size;
    EXPECT_LE(counts.steps, 2 * static_cast<int>(std::bit_width(static_cast<unsigned>(size)) + 1));
  }
}

TEST(Schedules, CountLengthsThatDoNotDivide) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Schedule schedule = schedule_of(algorithm, 6);
    for (const std::int64_t elements : {0, 1, 5, 1007}) {
      const ScheduleCounts counts = count(schedule, elements);
      std::int64_t sum = 0;
      for (const auto& row : counts.link) {
        for (const std::int64_t moved : row) sum += moved;
      }
      EXPECT_EQ(sum, counts.total);
      if (algorithm == Algorithm::ring || algorithm == Algorithm::two_shot) {
        EXPECT_EQ(counts.total, 10 * elements);
      }
    }
  }
}

// --- faults -------------------------------------------------------------------------------------

TEST(ScheduleProof, FindsEveryLostTransferAndEveryWrongEffect) {
  for (const Algorithm algorithm : kAlgorithms) {
    for (const int size : {3, 4, 6}) {
      const Schedule good = schedule_of(algorithm, size);
      for (std::size_t i = 0; i < good.transfers.size(); ++i) {
        Schedule dropped = good;
        dropped.transfers.erase(dropped.transfers.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NE(problem_of(dropped), "") << name_of(algorithm) << " without " << i;
        Schedule flipped = good;
        Effect& effect = flipped.transfers[i].effect;
        effect = effect == Effect::add ? Effect::replace : Effect::add;
        EXPECT_NE(problem_of(flipped), "") << name_of(algorithm) << " with another effect of " << i;
      }
    }
  }
}

Schedule of_two(std::vector<Transfer> transfers) {
  return {.algorithm = "by hand", .size = 2, .chunks = 1, .transfers = std::move(transfers)};
}

TEST(ScheduleProof, NamesWhatIsWrong) {
  EXPECT_EQ(problem_of(of_two({})), "rank 0 ends with chunk 0 without the contribution of rank 1");
  EXPECT_EQ(problem_of(of_two({{.step = 0, .from = 0, .to = 2}})),
            "step 0, 0>2 +[0]: there are ranks 0 to 1 and chunks 0 to 0");
  EXPECT_EQ(problem_of(of_two({{.step = 1, .from = 0, .to = 1}, {.step = 0, .from = 1, .to = 0}})),
            "step 0, 1>0 +[0]: it comes after a transfer of step 1");
  EXPECT_EQ(problem_of(of_two({{.step = 0, .from = 0, .to = 1},
                               {.step = 1, .from = 0, .to = 1},
                               {.step = 2, .from = 1, .to = 0, .effect = Effect::replace}})),
            "rank 0 ends with chunk 0 with 2 times the contribution of rank 0");
  // Rank 1 sends what it holds in the very step in which it is given something else.
  EXPECT_THAT(problem_of(of_two({{.step = 0, .from = 0, .to = 1},
                                 {.step = 0, .from = 1, .to = 0, .effect = Effect::replace}})),
              HasSubstr("it may overwrite chunk 0 while rank 0 still sends it (step 0, 0>1 +[0])"));
}

TEST(ScheduleProof, SumsInDifferentOrdersAreNotTheSameBits) {
  // Ranks 0 and 1 sum (0 + 1) + 2, rank 2 sums 0 + (1 + 2).
  const Schedule schedule{.algorithm = "by hand",
                          .size = 3,
                          .chunks = 1,
                          .transfers = {{.step = 0, .from = 0, .to = 1},
                                        {.step = 0, .from = 1, .to = 0},
                                        {.step = 0, .from = 1, .to = 2},
                                        {.step = 1, .from = 0, .to = 2}}};
  EXPECT_NE(problem_of(schedule), "");
}

// --- frames -------------------------------------------------------------------------------------

// All ranks in one thread. Frames of a pair stay in order; which pair is next is random.
class Delivery {
 public:
  struct Frame {
    int from, to;
    std::uint32_t number;
    Stretches payload;
  };

  Delivery(const Schedule& schedule, std::uint64_t seed) : size_(schedule.size), random_(seed) {}

  void run(std::deque<ScheduleRun>& ranks) {
    for (int rank = 0; rank < size_; ++rank) collect(ranks, rank);
    while (!under_way_.empty()) {
      random_ = mixed(random_, under_way_.size());
      auto next = under_way_.begin() + static_cast<std::ptrdiff_t>(random_ % under_way_.size());
      for (auto it = under_way_.begin(); it != next; ++it) {
        if (it->from == next->from && it->to == next->to) {
          next = it;
          break;
        }
      }
      const Frame frame = *next;
      under_way_.erase(next);
      deliver(ranks[frame.to], frame);
      collect(ranks, frame.to);
    }
    for (int rank = 0; rank < size_; ++rank) {
      for (int peer = 0; peer < size_; ++peer) EXPECT_FALSE(ranks[rank].awaits(peer));
      ranks[rank].finish();
    }
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  // As by a slow link: bytes are read out of the sender's memory when they arrive.
  void collect(std::deque<ScheduleRun>& ranks, int rank) {
    ranks[rank].send_ready([&](int to, std::uint32_t number, Stretches payload) {
      for (const iovec& stretch : payload) bytes_ += static_cast<std::int64_t>(stretch.iov_len);
      under_way_.push_back({rank, to, number, std::move(payload)});
    });
  }
  static void deliver(ScheduleRun& rank, const Frame& frame) {
    EXPECT_TRUE(rank.place(frame.from, frame.number + 1).empty()) << "a frame out of turn";
    Bytes bytes;
    for (const iovec& stretch : frame.payload) {
      const auto* from = static_cast<const std::byte*>(stretch.iov_base);
      bytes.insert(bytes.end(), from, from + stretch.iov_len);
    }
    std::size_t at = 0;
    for (const iovec& stretch : rank.place(frame.from, frame.number)) {
      ASSERT_LE(at + stretch.iov_len, bytes.size());
      if (stretch.iov_len != 0) std::memcpy(stretch.iov_base, bytes.data() + at, stretch.iov_len);
      at += stretch.iov_len;
    }
    ASSERT_EQ(at, bytes.size());
    rank.arrived(frame.from, frame.number);
  }

  const int size_;
  std::uint64_t random_;
  std::deque<Frame> under_way_;
  std::int64_t bytes_ = 0;
};

// Returns the bytes that were sent.
std::int64_t expect_runs_right(const Schedule& schedule, ElementType type, ReduceOp op,
                               std::size_t elements, std::uint64_t seed) {
  std::vector<Bytes> memory;
  std::deque<Parts> parts;
  std::deque<ScheduleScratch> scratch;
  std::deque<RankSchedule> known;
  std::deque<ScheduleRun> ranks;
  for (int rank = 0; rank < schedule.size; ++rank)
    memory.push_back(sample_input(type, elements, rank));
  for (int rank = 0; rank < schedule.size; ++rank) {
    // Cut in three pieces, so that frames cross their borders.
    const std::size_t third = elements / 3;
    std::byte* const data = memory[rank].data();
    const Buffer pieces[] = {{data, third, type},
                             {data + third * size_of(type), 0, type},
                             {data + third * size_of(type), elements - third, type}};
    parts.emplace_back(pieces);
    scratch.emplace_back();
    known.push_back(rank_schedule(schedule, rank));
    ranks.emplace_back(known.back(), parts.back(), op, scratch.back());
  }
  Delivery delivery(schedule, seed);
  delivery.run(ranks);
  const Bytes expected = serial_sum(schedule, type, op, elements);
  EXPECT_EQ(expected.size(), elements * size_of(type)) << "ranks end with different sums";
  for (int rank = 0; rank < schedule.size; ++rank) {
    EXPECT_TRUE(memory[rank] == expected) << "rank " << rank;
  }
  return delivery.bytes();
}

TEST(ScheduleRuns, GiveTheScheduleSumsWhateverComesFirst) {
  for (const Algorithm algorithm : kAlgorithms) {
    for (const int size : {2, 3, 4, 6, 7}) {
      const Schedule schedule = schedule_of(algorithm, size);
      for (const std::size_t elements : {0, 1, 5, 1000, 90001}) {
        for (const ElementType type : {ElementType::float32, ElementType::bfloat16}) {
          if (elements > 1000 && size > 4) continue;
          SCOPED_TRACE(schedule.algorithm + " of " + std::to_string(size) + ", " +
                       std::to_string(elements) + " x " + std::string(name_of(type)));
          const std::int64_t bytes =
              expect_runs_right(schedule, type, ReduceOp::sum, elements, elements + size);
          if (type == ElementType::float32) {
            EXPECT_EQ(bytes, 4 * count(schedule, static_cast<std::int64_t>(elements)).total);
          }
        }
      }
    }
  }
}

TEST(ScheduleRuns, TakeEveryTypeAndOperation) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Schedule schedule = schedule_of(algorithm, 5);
    for (const ElementType type : {ElementType::float64, ElementType::float16, ElementType::int8,
                                   ElementType::int64, ElementType::boolean}) {
      for (const ReduceOp op : {ReduceOp::sum, ReduceOp::min, ReduceOp::mean, ReduceOp::bit_xor}) {
        if (!can_reduce(type, op)) continue;
        SCOPED_TRACE(schedule.algorithm + " " + std::string(name_of(type)));
        expect_runs_right(schedule, type, op, 777, 3);
      }
    }
  }
}

// Raw contributions of half types travel as they are, partial sums in float32.
TEST(ScheduleRuns, WidenOnlyPartialSums) {
  const auto bytes = [](Algorithm algorithm) {
    return expect_runs_right(schedule_of(algorithm, 4), ElementType::bfloat16, ReduceOp::sum, 4000,
                             1);
  };
  EXPECT_EQ(bytes(Algorithm::two_shot), 2 * (2 * 3) * 4000);
  EXPECT_EQ(bytes(Algorithm::ring), 2 * (2 * 3) * 4000 + 2 * 2 * 4000);
}

}  // namespace
}  // namespace shoal::test

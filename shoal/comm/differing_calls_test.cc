// Ranks whose calls do not fit together: every rank is told soon, and in the same words, who called
// what, also while another rank has not called at all.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <tuple>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// What one rank calls, and how messages name it.
struct OneCall {
  std::string text;
  std::function<void(Group&)> make;
};

template <typename T>
OneCall reducing(const std::string& text, std::size_t elements, ReduceOp op) {
  return {text, [=](Group& group) {
            std::vector<T> values(elements);
            const Buffer all = buffer(std::span(values));
            group.all_reduce({&all, 1}, op, soon());
          }};
}

OneCall broadcasting(int root) {
  return {fmt::format("broadcast(100 x float32, root {})", root), [=](Group& group) {
            std::vector<float> values(100);
            group.broadcast(buffer(std::span(values)), root, soon());
          }};
}

OneCall exchanging() {
  return {"all_to_all(lists of float32)", [](Group& group) {
            const std::vector<ConstBuffer> in(group.size());
            const std::vector<Buffer> out(group.size());
            group.all_to_all(in, out, soon());
          }};
}

struct Difference {
  std::string name;
  std::function<OneCall(const std::string& suffix)> usual;
  std::function<OneCall(const std::string& suffix)> odd;
};

// `suffix` is how messages name the algorithm.
OneCall usual_call(const std::string& suffix) {
  return reducing<float>("all_reduce(sum, 4000 x float32" + suffix + ")", 4000, ReduceOp::sum);
}

const std::vector<Difference>& differences() {
  static const std::vector<Difference> all{
      {"operation", usual_call,
       [](const std::string&) {
         return OneCall{"barrier", [](Group& group) { group.barrier(soon()); }};
       }},
      {"type", usual_call,
       [](const std::string& suffix) {
         return reducing<std::int32_t>("all_reduce(sum, 4000 x int32" + suffix + ")", 4000,
                                       ReduceOp::sum);
       }},
      {"size", usual_call,
       [](const std::string& suffix) {
         return reducing<float>("all_reduce(sum, 4001 x float32" + suffix + ")", 4001,
                                ReduceOp::sum);
       }},
      {"reduction", usual_call,
       [](const std::string& suffix) {
         return reducing<float>("all_reduce(max, 4000 x float32" + suffix + ")", 4000,
                                ReduceOp::max);
       }},
      {"root", [](const std::string&) { return broadcasting(0); },
       [](const std::string&) { return broadcasting(1); }},
      {"lists", [](const std::string&) { return broadcasting(0); },
       [](const std::string&) { return exchanging(); }},
  };
  return all;
}

class DifferingCalls
    : public testing::TestWithParam<std::tuple<Engine, Algorithm, int, std::size_t>> {
 protected:
  int size() const { return std::get<2>(GetParam()); }
  const Difference& difference() const { return differences()[std::get<3>(GetParam())]; }
  std::string suffix() const {
    const Algorithm algorithm = std::get<1>(GetParam());
    return algorithm == Algorithm::two_shot ? "" : fmt::format(", {}", name_of(algorithm));
  }

  // What every rank is told when `odd` makes the odd call, and `late` (-1: nobody) makes its own
  // only once all others have failed.
  std::vector<std::string> told(int odd, int late) {
    const CommOptions options =
        options_of(std::get<0>(GetParam()), std::get<1>(GetParam()), size());
    std::vector<std::string> texts(static_cast<std::size_t>(size()));
    std::atomic<int> failed{0};
    with_group(size(), options, [&](Group& group) {
      const int rank = group.rank();
      if (rank == late) {
        while (failed.load() < size() - 1) std::this_thread::sleep_for(milliseconds(1));
      }
      const Deadline began = Deadline::never();
      try {
        (rank == odd ? difference().odd : difference().usual)(suffix()).make(group);
        // A rank that has what it needs meets the error in its next call.
        group.barrier(soon());
        ADD_FAILURE() << "rank " << rank << " returned";
      } catch (const InvalidInput& error) {
        texts[rank] = error.what();
      } catch (const Error& error) {
        ADD_FAILURE() << "rank " << rank << " is told otherwise: " << error.what();
      }
      if (rank != late) longest_ = std::max(longest_.load(), began.waited().count());
      ++failed;
      // The group is spent.
      EXPECT_THROW(group.barrier(soon()), InvalidInput);
      // Its end is not to be the reason that another rank is told.
      while (failed.load() < size()) std::this_thread::sleep_for(milliseconds(1));
    });
    return texts;
  }

  void expect_named(int odd, int late) {
    const std::vector<std::string> texts = told(odd, late);
    for (int rank = 0; rank < size(); ++rank) {
      EXPECT_THAT(
          texts[rank],
          AllOf(HasSubstr("the ranks' calls for operation #1 of group all differ"),
                HasSubstr(" called " + difference().usual(suffix()).text),
                HasSubstr(fmt::format("rank {} called {}", odd, difference().odd(suffix()).text))))
          << "rank " << rank << ", odd " << odd << ", late " << late;
    }
    sample_ = texts[size() - 1];
  }

  std::atomic<std::int64_t> longest_{0};  // milliseconds until a rank was told
  std::string sample_;
};

TEST_P(DifferingCalls, AreNamedOnEveryRank) {
  for (const int odd : {0, size() - 1}) expect_named(odd, -1);
  if (size() > 2) {
    expect_named(1, size() - 1);
    expect_named(2, 0);
  }
  fmt::print("within {} ms: {}\n", longest_.load(), sample_);
  std::fflush(stdout);
  // Not at the deadline; how soon is for the must-show script to say.
  EXPECT_LT(longest_.load(), 20000);
}

std::string name_of_difference(const testing::TestParamInfo<DifferingCalls::ParamType>& info) {
  const auto [engine, algorithm, size, difference] = info.param;
  return fmt::format("{}_{}_{}_{}", name_of(engine), name_of(algorithm), size,
                     differences()[difference].name);
}

INSTANTIATE_TEST_SUITE_P(Worlds, DifferingCalls,
                         testing::Combine(testing::Values(Engine::memory, Engine::shm, Engine::tcp),
                                          testing::Values(Algorithm::two_shot, Algorithm::ring),
                                          testing::Values(2, 4),
                                          testing::Range(std::size_t{0}, std::size_t{6})),
                         name_of_difference);
INSTANTIATE_TEST_SUITE_P(
    Hosts, DifferingCalls,
    testing::Combine(testing::Values(Engine::hierarchical),
                     testing::Values(Algorithm::two_shot, Algorithm::hierarchical),
                     testing::Values(2, 3, 4, 6), testing::Range(std::size_t{0}, std::size_t{6})),
    name_of_difference);

INSTANTIATE_TEST_SUITE_P(Messages, DifferingCalls,
                         testing::Combine(testing::Values(Engine::mpi),
                                          testing::Values(Algorithm::two_shot, Algorithm::ring),
                                          testing::Values(2, 4),
                                          testing::Range(std::size_t{0}, std::size_t{6})),
                         name_of_difference);

}  // namespace
}  // namespace shoal::test

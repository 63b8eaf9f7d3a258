// Groups over a c10d::Backend, here shoal's own. Gloo's, which is made in Python, is tried by
// tests/pytorch/other_backends_test.py.
#include "shoal/tensor/c10d_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "shoal/comm/try_group.h"
#include "shoal/core/error.h"
#include "shoal/tensor/c10d_backend.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

Deadline soon() { return Deadline::after(std::chrono::seconds(60)); }

// By rank, what `body` returns or the words of its error.
std::vector<std::string> words_of_ranks(int size, const std::function<std::string(Group&)>& body) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::string> words(static_cast<std::size_t>(size));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      C10dGroup group(c10::make_intrusive<C10dBackend>(store, rank, size, C10dBackend::Settings{}),
                      "all");
      try {
        words[rank] = body(group);
      } catch (const Error& error) {
        words[rank] = error.what();
      }
      store->add("done", 1);
      while (store->add("done", 0) < size) std::this_thread::yield();
    });
  }
  threads.clear();
  return words;
}

TEST(C10dGroup, EveryResultIsRight) {
  for (const int size : {1, 2, 3}) {
    const auto words = words_of_ranks(size, [](Group& group) {
      const TrialReport report = try_group(group, Algorithm::two_shot, {}, 60);
      EXPECT_THAT(report.faults, IsEmpty());
      EXPECT_GT(report.results, 200);
      EXPECT_EQ(group.engine(), "c10d");
      return std::string("right");
    });
    EXPECT_THAT(words, testing::Each("right"));
  }
}

TEST(C10dGroup, CallsThatDifferAreNamed) {
  const auto words = words_of_ranks(2, [](Group& group) {
    std::vector<float> values(10 + group.rank());
    const Buffer all = buffer(std::span(values));
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    return std::string("no error");
  });
  for (const std::string& said : words) {
    EXPECT_THAT(said, AllOf(HasSubstr("rank 0 called all_reduce(sum, 10 x float32)"),
                            HasSubstr("rank 1 called all_reduce(sum, 11 x float32)")));
  }
}

TEST(C10dGroup, SizesThatDifferAreNamed) {
  const auto words = words_of_ranks(2, [](Group& group) {
    std::vector<float> values(10);
    if (group.rank() == 0) {
      group.send(buffer(std::span(values)), 1, soon());
      return std::string("sent");
    }
    group.receive(buffer(std::span(values).first(9)), 0, soon());
    return std::string("no error");
  });
  EXPECT_THAT(words[1], HasSubstr("rank 0 sent 10 x float32, rank 1 asked for 9 x float32"));
}

TEST(C10dGroup, ARankThatDoesNotComeEndsTheCallAtItsDeadline) {
  const auto words = words_of_ranks(2, [](Group& group) {
    if (group.rank() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      return std::string("late");
    }
    EXPECT_THROW(group.barrier(Deadline::after(std::chrono::milliseconds(200))), TimedOut);
    group.barrier(soon());  // spent
    return std::string("no error");
  });
  EXPECT_THAT(words[0],
              AllOf(HasSubstr("barrier #1 of group all over shoal"), HasSubstr("rank 1")));
}

TEST(C10dGroup, AnAbortEndsWhatIsUnderWay) {
  const auto words = words_of_ranks(2, [](Group& group) {
    if (group.rank() == 1) {
      group.abort();
      group.barrier(soon());
    } else {
      group.barrier(soon());
    }
    return std::string("no error");
  });
  EXPECT_THAT(words[1], HasSubstr("group all was aborted"));
  EXPECT_THAT(words[0], HasSubstr("barrier #1 of group all over shoal"));
}

TEST(C10dGroup, AWorldFormsItsGroupsOverBackends) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  run_ranks(3, {}, [&](World& inner) {
    // A second world of the same ranks, to own.
    auto own =
        join_world(with_prefix(std::shared_ptr<Store>(&inner.store(), [](Store*) {}), "own/"),
                   {inner.rank(), inner.size()}, {}, soon());
    const auto world =
        over_backends(std::move(own), [&](const std::string& name, const std::vector<int>& ranks) {
          const auto at = std::find(ranks.begin(), ranks.end(), inner.rank()) - ranks.begin();
          C10dBackend::Settings settings;
          settings.group = name;
          settings.global_ranks.assign(ranks.begin(), ranks.end());
          return c10::make_intrusive<C10dBackend>(store, static_cast<int>(at),
                                                  static_cast<int>(ranks.size()), settings);
        });
    const auto all = world->form_group("all", {0, 1, 2}, soon());
    std::vector<std::int32_t> values{inner.rank()};
    const Buffer data = buffer(std::span(values));
    all->all_reduce({&data, 1}, ReduceOp::sum, soon());
    EXPECT_EQ(values[0], 3);
    all->barrier(soon());
  });
}

}  // namespace
}  // namespace shoal

#include "shoal/comm/choices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/serial_result.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/comm/tune.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

namespace shoal::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kReduce = Operation::all_reduce;

ChoiceTable some_choices() {
  return ChoiceTable({{Engine::tcp, kReduce, 4, 65536, Algorithm::ring},
                      {Engine::tcp, kReduce, 4, 0, Algorithm::two_shot},
                      {Engine::tcp, kReduce, 2, 0, Algorithm::recursive_doubling},
                      {Engine::tcp, Operation::reduce_scatter, 2, 0, Algorithm::ring},
                      {Engine::memory, kReduce, 3, 0, Algorithm::two_shot},
                      {Engine::memory, kReduce, 3, 1000, Algorithm::rabenseifner}});
}

TEST(Choices, AreReadAsTheyAreWritten) {
  const ChoiceTable table = some_choices();
  EXPECT_EQ(choices_from(table.text(), "test").choices(), table.choices());
  EXPECT_EQ(choices_from("", "test").choices().size(), 0U);
  // What ships is well made.
  EXPECT_EQ(choices_from(ChoiceTable::shipped().text(), "test").choices(),
            ChoiceTable::shipped().choices());
}

TEST(Choices, AreThoseOfTheNextSmallerNumberOfRanks) {
  const ChoiceTable table = some_choices();
  const auto chosen = [&](Engine engine, Operation operation, int ranks, std::size_t bytes) {
    return AlgorithmPolicy(table, engine, ranks, Algorithm::double_tree).of(operation, bytes);
  };
  EXPECT_EQ(chosen(Engine::tcp, kReduce, 2, 1 << 30), Algorithm::recursive_doubling);
  EXPECT_EQ(chosen(Engine::tcp, kReduce, 3, 0), Algorithm::recursive_doubling);
  EXPECT_EQ(chosen(Engine::tcp, kReduce, 4, 65535), Algorithm::two_shot);
  EXPECT_EQ(chosen(Engine::tcp, kReduce, 4, 65536), Algorithm::ring);
  EXPECT_EQ(chosen(Engine::tcp, kReduce, 64, 1 << 30), Algorithm::ring);
  EXPECT_EQ(chosen(Engine::memory, kReduce, 2, 0), Algorithm::two_shot) << "the fewest there are";
  EXPECT_EQ(chosen(Engine::tcp, Operation::reduce_scatter, 7, 5), Algorithm::ring);
  EXPECT_EQ(chosen(Engine::tcp, Operation::broadcast, 4, 5), Algorithm::double_tree);
  EXPECT_EQ(chosen(Engine::shm, kReduce, 4, 5), Algorithm::double_tree);
  EXPECT_EQ(AlgorithmPolicy(Algorithm::ring).of(Operation::broadcast, 7), Algorithm::ring);
}

TEST(Choices, NewListsTakeThePlaceOfOldOnes) {
  const ChoiceTable both =
      some_choices().with(ChoiceTable({{Engine::tcp, kReduce, 4, 0, Algorithm::double_tree},
                                       {Engine::shm, kReduce, 4, 0, Algorithm::ring}}));
  EXPECT_EQ(both.choices().size(), some_choices().choices().size());
  EXPECT_THAT(both.list(Engine::tcp, kReduce, 4),
              ElementsAre(Choice{Engine::tcp, kReduce, 4, 0, Algorithm::double_tree}));
  EXPECT_EQ(both.list(Engine::tcp, kReduce, 2), some_choices().list(Engine::tcp, kReduce, 2));
}

std::string refusal(const std::string& text) {
  try {
    choices_from(text, "my.toml");
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "not refused";
}

TEST(Choices, SayWhatIsWrongWithAFile) {
  const auto entry = [](const std::string& change, const std::string& with) {
    std::string text =
        R"({ engine = "tcp", operation = "all_reduce", ranks = 4, from_bytes = 0, algorithm = "ring" })";
    if (!change.empty()) text.replace(text.find(change), change.size(), with);
    return text;
  };
  const auto refused = [&](const std::string& change, const std::string& with) {
    return refusal("choices = [" + entry(change, with) + "]");
  };
  EXPECT_EQ(refused("", ""), "not refused");
  EXPECT_THAT(refused("tcp", "automatic"), HasSubstr("entry 1 of choices needs an engine: memory"));
  EXPECT_THAT(refused("all_reduce", "barrier"), HasSubstr("needs an operation: all_reduce"));
  EXPECT_THAT(refused("\"ring\"", "\"rign\""), HasSubstr("needs an algorithm: one of two_shot"));
  EXPECT_THAT(refused("all_reduce", "broadcast"),
              HasSubstr("names ring, which broadcast does not"));
  EXPECT_THAT(refused("4", "1"), HasSubstr("needs ranks from 2 to 4096"));
  EXPECT_THAT(refused("= 0", "= -1"), HasSubstr("needs from_bytes of 0 or more"));
  EXPECT_THAT(refused("= 0", "= 7"), HasSubstr("does not hold from 0 bytes on"));
  EXPECT_THAT(refused("ranks", "rank"), HasSubstr("has the unknown key rank; known are engine"));
  EXPECT_THAT(refusal("choices = [1]"), HasSubstr("my.toml: entry 1 of choices is no table"));
  EXPECT_THAT(refusal("choices = 1"), HasSubstr("my.toml: choices is no list"));
  EXPECT_THAT(refusal("choices = [" + entry("", "") + "," + entry("", "") + "]"),
              HasSubstr("two choices from one size on"));
  EXPECT_THAT(refusal("choices = [" + entry("4", "1") + "," + entry("tcp", "") + "]"),
              AllOf(HasSubstr("entry 1"), HasSubstr("entry 2")))
      << "every fault at once";
}

// Groups do what the table says: the order of additions of each size is that of its algorithm.
TEST(Choices, DecideInGroupsHowSumsAreMade) {
  constexpr int kSize = 4;
  const Algorithm small = Algorithm::recursive_doubling;
  const Algorithm large = Algorithm::ring;
  for (const Engine engine : {Engine::memory, Engine::tcp, Engine::hierarchical}) {
    const ChoiceTable table({{engine, kReduce, 2, 0, small},
                             {engine, kReduce, 2, 4000, large},
                             {engine, Operation::reduce_scatter, 2, 0, Algorithm::ring},
                             {engine, Operation::broadcast, 2, 0, Algorithm::two_shot}});
    const TempFile file("choices.toml", table.text());
    CommOptions options = options_of(engine, Algorithm::automatic, kSize);
    options.choices = file.path();
    with_group(kSize, options, [&](Group& group) {
      for (const std::size_t elements : {999, 1000, 40000}) {
        const Schedule schedule = schedule_of(elements < 1000 ? small : large, kSize);
        std::vector<std::byte> values = sample_input(ElementType::float32, elements, group.rank());
        const Buffer all{values.data(), elements, ElementType::float32};
        const std::uint64_t before = group.bytes_sent();
        group.all_reduce({&all, 1}, ReduceOp::sum, soon());
        EXPECT_EQ(values, serial_sum(schedule, ElementType::float32, ReduceOp::sum, elements));
        EXPECT_EQ(group.bytes_sent() - before,
                  4 * static_cast<std::uint64_t>(
                          count(schedule, static_cast<std::int64_t>(elements)).sent[group.rank()]));
        const std::size_t piece = elements / kSize;
        std::vector<std::byte> out(piece * 4);
        const auto in = sample_input(ElementType::float32, piece * kSize, group.rank());
        group.reduce_scatter({in.data(), piece * kSize, ElementType::float32},
                             {out.data(), piece, ElementType::float32}, ReduceOp::sum, soon());
        const auto sum = serial_sum(
            handed_on(reduce_scatter_schedule_of(Algorithm::ring, kSize), all_ranks(kSize)),
            ElementType::float32, ReduceOp::sum, piece * kSize);
        EXPECT_TRUE(
            std::equal(out.begin(), out.end(),
                       sum.begin() + static_cast<std::ptrdiff_t>(out.size()) * group.rank()));
      }
    });
  }
}

TEST(Choices, MustBeTheSameForAllWorkers) {
  const TempFile one("one.toml", some_choices().text());
  const TempFile other("other.toml",
                       ChoiceTable({{Engine::tcp, kReduce, 2, 0, Algorithm::ring}}).text());
  const auto store = make_memory_store();
  const auto words = words_of_ranks(2, [&](int rank) {
    CommOptions options;
    options.engine = Engine::tcp;
    options.choices = rank == 0 ? one.path() : other.path();
    const auto world = join_world(store, {rank, 2}, options, soon());
    world->form_group("all", {0, 1}, soon());
    return std::string("formed");
  });
  EXPECT_THAT(words, testing::Contains(HasSubstr("the same comm.engine, comm.algorithm, "
                                                 "comm.choices")));
}

TEST(Tune, AnAlgorithmTakesOverWhereItIsClearlyFaster) {
  TuneOptions options;
  options.ranks = 3;
  using enum Algorithm;
  const Timings timings = {{4, {{two_shot, 1.0}, {ring, 0.97}}},  // noise
                           {16, {{two_shot, 1.0}, {ring, 0.90}}},
                           {64, {{two_shot, 0.99}, {ring, 1.0}}},  // noise
                           {256, {{two_shot, 0.5}, {ring, 1.0}}}};
  EXPECT_THAT(choices_of(options, timings, two_shot),
              ElementsAre(Choice{Engine::tcp, kReduce, 3, 0, two_shot},
                          Choice{Engine::tcp, kReduce, 3, 8, ring},
                          Choice{Engine::tcp, kReduce, 3, 128, two_shot}));
}

TEST(Tune, MeasuresEveryAlgorithmInEveryRound) {
  TuneOptions options;
  options.engine = Engine::memory;
  options.operation = Operation::reduce_scatter;
  options.from_bytes = 4096;
  options.to_bytes = 16384;
  options.rounds = 2;
  std::vector<std::pair<Algorithm, int>> heard;
  const Timings timings = time_algorithms(
      options, [&](Algorithm algorithm, int round) { heard.emplace_back(algorithm, round); });
  using enum Algorithm;
  EXPECT_THAT(heard, ElementsAre(std::pair(two_shot, 0), std::pair(ring, 0), std::pair(two_shot, 1),
                                 std::pair(ring, 1)));
  ASSERT_EQ(timings.size(), 2U);
  for (const auto& [bytes, times] : timings) EXPECT_EQ(times.size(), 2U) << bytes;
  options.operation = Operation::broadcast;
  EXPECT_THAT(options.problems(), ElementsAre(HasSubstr("one way of broadcast only")));
}

}  // namespace
}  // namespace shoal::test

#include "shoal/comm/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/comm/machine_probe.h"
#include "shoal/comm/test_worlds.h"
#include "shoal/core/error.h"

namespace shoal::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

MeasureOptions of(Operation operation, int ranks, std::int64_t from, std::int64_t to) {
  MeasureOptions options;
  options.operation = operation;
  options.ranks = ranks;
  options.from_bytes = from;
  options.to_bytes = to;
  options.repetitions = 2;
  return options;
}

TEST(Measure, SizesGrowByFourAndAreWhole) {
  EXPECT_THAT(measured_sizes(of(Operation::all_reduce, 3, 4, 300)), ElementsAre(4, 16, 64, 256));
  EXPECT_THAT(measured_sizes(of(Operation::all_reduce, 3, 5, 5)), ElementsAre(8));
  // Three ranks gather at least 4 bytes each: 4 bytes become 12, and 16 become 24.
  EXPECT_THAT(measured_sizes(of(Operation::all_gather, 3, 4, 64)), ElementsAre(12, 24, 72));
  EXPECT_THAT(measured_sizes(of(Operation::reduce_scatter, 8, 4, 16)), ElementsAre(32));
  EXPECT_THAT(measured_sizes(of(Operation::barrier, 2, 4, 64)), ElementsAre(0));
}

TEST(Measure, SummariesAreOfRepetitions) {
  // Medians 2, 5 and 3.
  const Measured measured = summary_of(100, {1, 2, 9, 5, 5, 5, 3, 3, 3}, 3);
  EXPECT_EQ(measured.bytes, 100);
  EXPECT_EQ(measured.calls, 9);
  EXPECT_EQ(measured.median, 3);
  EXPECT_EQ(measured.least, 2);
  EXPECT_EQ(measured.most, 5);
  EXPECT_EQ(measured.p99, 9);
  EXPECT_EQ(summary_of(4, {1, 2, 3, 6}, 4).median, 2.5);
}

TEST(Measure, TheBusBandwidthIsOfOneLink) {
  const Measured measured{.bytes = 400, .median = 2};
  EXPECT_DOUBLE_EQ(algorithm_bandwidth(measured), 200);
  EXPECT_DOUBLE_EQ(bus_bandwidth(measured, Operation::all_reduce, 4), 300);
  EXPECT_DOUBLE_EQ(bus_bandwidth(measured, Operation::all_gather, 4), 150);
  EXPECT_DOUBLE_EQ(bus_bandwidth(measured, Operation::broadcast, 4), 200);
}

// Measures little, and with more ranks than cores; results are verified inside.
TEST(Measure, EveryOperationOfEveryEngine) {
  for (const Engine engine : {Engine::memory, Engine::shm, Engine::tcp, Engine::hierarchical}) {
    for (const Operation operation : kMeasuredOperations) {
      SCOPED_TRACE(std::string(name_of(engine)) + " " + std::string(name_of(operation)));
      MeasureOptions options = of(operation, 3, 65536, 262144);
      options.engine = engine;
      if (engine == Engine::hierarchical) {
        options.ranks_per_host = 2;
        options.algorithm = Algorithm::hierarchical;
      }
      options.repetitions = 1;
      int heard = 0;
      const auto all = measure(options, [&](const Measured&) { ++heard; });
      ASSERT_EQ(all.size(), measured_sizes(options).size());
      EXPECT_EQ(heard, static_cast<int>(all.size()));
      for (const Measured& one : all) {
        EXPECT_GT(one.least, 0);
        EXPECT_LE(one.least, one.median);
        EXPECT_LE(one.median, one.most);
        EXPECT_LE(one.median, one.p99);
      }
    }
  }
}

TEST(Measure, AmongTheRanksOfAGroupThatExists) {
  const MeasureOptions options = of(Operation::all_gather, 2, 4096, 65536);
  run_ranks(3, options_of(Engine::hierarchical, Algorithm::automatic, 3), [&](World& world) {
    const auto group = world.form_group("bench", all_ranks(3), soon());
    const auto meeting = world.form_group("meeting", all_ranks(3), soon());
    int heard = 0;
    const auto all = measure_among(*group, *meeting, options, 60, [&](const Measured& one) {
      EXPECT_EQ(one.bytes % 12, 0) << "of three ranks, whatever the options say";
      EXPECT_GT(one.median, 0);
      ++heard;
    });
    EXPECT_EQ(heard, world.rank() == 0 ? 3 : 0);
    EXPECT_EQ(all.size(), world.rank() == 0 ? 3U : 0U);
    MeasureOptions wrong = options;
    wrong.from_bytes = 0;
    EXPECT_THROW(measure_among(*group, *meeting, wrong, 60, [](const Measured&) {}), InvalidInput);
  });
}

TEST(Measure, AnErrorOfOneWhoListensEndsTheRanks) {
  MeasureOptions options = of(Operation::all_reduce, 2, 4, 1 << 20);
  const auto refuse = [](const Measured&) { throw Error("heard enough"); };
  EXPECT_THROW(measure(options, refuse), Error);
  options.engine = Engine::memory;
  EXPECT_THROW(measure(options, refuse), Error);
}

std::string refusal_of(const MeasureOptions& options) {
  try {
    measure(options, [](const Measured&) {});
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "";
}

TEST(Measure, WhatCannotBeMeasuredIsRefused) {
  EXPECT_THAT(refusal_of(of(Operation::all_reduce, 1, 4, 4)), HasSubstr("1 ranks: give 2 to 128"));
  EXPECT_THAT(refusal_of(of(Operation::all_reduce, 2, 0, 4)), HasSubstr("from 0 bytes"));
  EXPECT_THAT(refusal_of(of(Operation::all_reduce, 2, 64, 4)), HasSubstr("from 64 to 4 bytes"));
  EXPECT_THAT(refusal_of(of(Operation::gather, 2, 4, 4)), HasSubstr("gather is not measured"));
  EXPECT_THAT(
      refusal_of(of(Operation::all_reduce, 100, std::int64_t{64} << 30, std::int64_t{64} << 30)),
      HasSubstr("are free: measure smaller sizes or fewer ranks"));
  MeasureOptions options = of(Operation::broadcast, 2, 4, 4);
  options.algorithm = Algorithm::ring;
  EXPECT_THAT(refusal_of(options), HasSubstr("broadcast does not run ring"));
  options = of(Operation::all_reduce, 2, 4, 4);
  options.repetitions = 0;
  EXPECT_THAT(refusal_of(options), HasSubstr("0 repetitions"));
}

TEST(MachineProbe, SaysHowFarCoresAre) {
  EXPECT_EQ(distance_of(60e-9), "near");
  EXPECT_EQ(distance_of(120e-9), "between");
  EXPECT_EQ(distance_of(200e-9), "far");
  const MachineProbe probe = probe_machine();
  if (probe.ping_seconds) {
    EXPECT_GT(*probe.ping_seconds, 1e-9);
  }
  EXPECT_GT(probe.copied_per_second, 1e6);
  EXPECT_GT(probe.clock_seconds, 0);
}

}  // namespace
}  // namespace shoal::test

#include "shoal/launch/launched_world.h"

#include <gtest/gtest.h>

#include <array>

#include "shoal/core/error.h"

namespace shoal {
namespace {

TEST(LaunchedWorld, AProgramStartedAloneIsAWorldOfOne) {
  const LaunchedWorld alone = join_launched_world(CommOptions{});
  EXPECT_EQ(alone.world->rank(), 0);
  EXPECT_EQ(alone.world->size(), 1);
  const auto deadline = Deadline::after(std::chrono::seconds(5));
  const auto group = alone.world->form_group("data", {0}, deadline);
  std::array values{2.5f, -1.0f};
  const Buffer all = buffer(std::span<float>(values));
  group->all_reduce(std::span(&all, 1), ReduceOp::sum, deadline);
  EXPECT_EQ(values, (std::array{2.5f, -1.0f}));
}

TEST(LaunchedWorld, ATorchStoreNeedsSomebodyWhoCanSpeakToIt) {
  WorkerPlace place;
  place.size = 2;
  place.master_address = "127.0.0.1";
  place.master_port = 1;
  place.source = "torchrun";
  place.store_is_torch = true;
  EXPECT_THROW(join_launched_world(place, CommOptions{}), InvalidInput);
}

}  // namespace
}  // namespace shoal

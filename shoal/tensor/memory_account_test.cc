#include "shoal/tensor/memory_account.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <thread>

namespace shoal {
namespace {

constexpr std::int64_t kKiB = 1024;
at::Tensor kibibytes(std::int64_t n) { return torch::empty({n * kKiB}, torch::kUInt8); }

TEST(MemoryAccount, CountsWhatTheDefaultAllocatorGivesAndTakes) {
  const auto account = std::make_shared<MemoryAccount>();
  const MemoryAccountScope scope(account);
  {
    const at::Tensor a = kibibytes(3);
    EXPECT_EQ(account->current(), 3 * kKiB);
    const at::Tensor view = a.slice(0, 1, 5);
    EXPECT_EQ(account->current(), 3 * kKiB);
    const at::Tensor b = a.clone();
    EXPECT_EQ(account->current(), 6 * kKiB);
  }
  EXPECT_EQ(account->current(), 0);
  EXPECT_EQ(account->peak(), 6 * kKiB);
  account->reset_peak();
  EXPECT_EQ(account->peak(), 0);
}

TEST(MemoryAccount, IgnoresWhatIsAllocatedOutsideTheScope) {
  const auto account = std::make_shared<MemoryAccount>();
  const at::Tensor before = kibibytes(1);
  { const MemoryAccountScope scope(account); }
  const at::Tensor after = kibibytes(1);
  EXPECT_EQ(account->peak(), 0);
}

TEST(MemoryAccount, InnermostScopeCounts) {
  const auto outer = std::make_shared<MemoryAccount>();
  const auto inner = std::make_shared<MemoryAccount>();
  const MemoryAccountScope outer_scope(outer);
  const at::Tensor a = kibibytes(1);
  at::Tensor b;
  {
    const MemoryAccountScope inner_scope(inner);
    b = kibibytes(2);
  }
  const at::Tensor c = kibibytes(4);
  EXPECT_EQ(outer->current(), 5 * kKiB);
  EXPECT_EQ(inner->current(), 2 * kKiB);
}

TEST(MemoryAccount, OneAccountServesSeveralThreads) {
  const auto account = std::make_shared<MemoryAccount>();
  at::Tensor made_there;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        const MemoryAccountScope scope(account);
        for (int i = 0; i < 200; ++i) kibibytes(1 + i % 3);
        if (t == 0) made_there = kibibytes(7);
      });
    }
  }
  EXPECT_EQ(account->current(), 7 * kKiB);
  EXPECT_GE(account->peak(), 7 * kKiB);
  EXPECT_LE(account->peak(), 16 * kKiB);
  const MemoryAccountScope scope(account);
  made_there.reset();
  EXPECT_EQ(account->current(), 0);
}

TEST(MemoryAccount, SeesWhatBackwardAllocates) {
  const auto account = std::make_shared<MemoryAccount>();
  const MemoryAccountScope scope(account);
  const at::Tensor w = torch::ones({256}, torch::requires_grad());
  EXPECT_EQ(account->current(), kKiB);
  (w * w).sum().backward();
  EXPECT_EQ(account->current(), 2 * kKiB);  // w and its gradient
}

TEST(MemoryAccount, NoAccountBooksNothing) {
  const MemoryAccountScope scope(nullptr);
  EXPECT_EQ(kibibytes(1).numel(), kKiB);
}

}  // namespace
}  // namespace shoal

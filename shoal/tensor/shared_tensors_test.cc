#include "shoal/tensor/shared_tensors.h"

#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <torch/torch.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "shoal/core/error.h"
#include "shoal/tensor/memory_account.h"

namespace shoal {
namespace {

constexpr std::int64_t kKibibyte = 1024;
at::Tensor uninitialized_kib(std::int64_t n) {
  return torch::empty({n * kKibibyte}, torch::kUInt8);
}

// Memory as a group gives it, counted.
class Source {
 public:
  SharedTensors::Allocate allocate() {
    return [this](std::size_t bytes) {
      ++calls;
      std::shared_ptr<std::byte> memory(new std::byte[bytes](), [this](std::byte* data) {
        given_.erase(data);
        delete[] data;
      });
      given_.insert(memory.get());
      return memory;
    };
  }
  bool has(const at::Tensor& tensor) const {
    return given_.contains(static_cast<std::byte*>(tensor.data_ptr()));
  }
  std::size_t given() const { return given_.size(); }
  int calls = 0;

 private:
  std::set<std::byte*> given_;
};

bool at_least_8_kib(std::size_t bytes) { return bytes >= 8 * kKibibyte; }

TEST(SharedTensorsTest, AreTakenInTheScopeIfWanted) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const at::Tensor before = uninitialized_kib(8);
  at::Tensor inside, small, result;
  {
    const SharedTensorsScope scope(tensors);
    inside = uninitialized_kib(8);
    small = uninitialized_kib(7);
    result = inside + inside;
  }
  EXPECT_FALSE(source.has(before));
  EXPECT_TRUE(source.has(inside));
  EXPECT_FALSE(source.has(small));
  EXPECT_TRUE(source.has(result));
  EXPECT_FALSE(source.has(uninitialized_kib(8)));
  EXPECT_EQ(tensors->bytes_in_use(), 16 * kKibibyte);
}

TEST(SharedTensorsTest, AnotherThreadIsNotConcerned) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const SharedTensorsScope scope(tensors);
  std::thread([&] { EXPECT_FALSE(source.has(uninitialized_kib(8))); }).join();
  { const SharedTensorsScope nothing(nullptr); }
  EXPECT_TRUE(source.has(uninitialized_kib(8)));
}

TEST(SharedTensorsTest, EverywhereUntilTheyAreStopped) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  share_tensors_everywhere(tensors);
  at::Tensor other;
  std::thread([&] { other = uninitialized_kib(8); }).join();
  EXPECT_TRUE(source.has(other));
  tensors->stop();
  EXPECT_FALSE(source.has(uninitialized_kib(8)));
  share_tensors_everywhere(nullptr);
}

TEST(SharedTensorsTest, MemoryServesTheNextOfAboutItsSize) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const SharedTensorsScope scope(tensors);
  const void* where = nullptr;
  for (const std::int64_t size : {1000, 990, 961, 1000}) {
    const at::Tensor tensor = uninitialized_kib(size);
    EXPECT_TRUE(where == nullptr || tensor.data_ptr() == where) << size;
    where = tensor.data_ptr();
  }
  EXPECT_EQ(source.calls, 1);
  EXPECT_EQ(tensors->bytes_in_use(), 0U);
  EXPECT_GT(tensors->bytes_idle(), 0U);
  EXPECT_NE(uninitialized_kib(800).data_ptr(), where);
}

// Batches of ever other sizes do not fill the memory with what none of them uses.
TEST(SharedTensorsTest, IdleMemoryHasAnEnd) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const SharedTensorsScope scope(tensors);
  for (std::int64_t size = 8; size < 4000; size += size / 4) {
    const at::Tensor tensor = uninitialized_kib(size);
    EXPECT_LE(tensors->bytes_idle(), 18 * static_cast<std::size_t>(size) * kKibibyte / 8);
  }
}

TEST(SharedTensorsTest, TensorsMayOutliveThem) {
  Source source;
  at::Tensor kept;
  {
    const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
    const SharedTensorsScope scope(tensors);
    kept = uninitialized_kib(64);
    uninitialized_kib(64);
  }
  kept.fill_(7);
  EXPECT_EQ(kept.sum().item<std::int64_t>(), std::int64_t{7} * 64 * kKibibyte);
  kept.reset();
  EXPECT_EQ(source.given(), 0U);
}

TEST(SharedTensorsTest, WithoutMemoryOrdinaryTensorsAreMade) {
  const auto tensors = std::make_shared<SharedTensors>(
      [](std::size_t) -> std::shared_ptr<std::byte> { throw OutOfMemory("none left"); },
      at_least_8_kib);
  const SharedTensorsScope scope(tensors);
  const at::Tensor tensor = torch::ones({64 * kKibibyte});
  EXPECT_EQ(tensor.sum().item<float>(), 64 * kKibibyte);
  EXPECT_EQ(tensors->bytes_in_use(), 0U);
}

// As kernels take scratch memory.
TEST(SharedTensorsTest, MemoryMayBeTakenAndGivenBackByAddress) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  c10::Allocator& allocator = *c10::GetCPUAllocator();
  void* const before = allocator.raw_allocate(9 * kKibibyte);
  void* shared = nullptr;
  {
    const SharedTensorsScope scope(tensors);
    shared = allocator.raw_allocate(9 * kKibibyte);
    allocator.raw_deallocate(before);
    EXPECT_EQ(source.given(), 1U);
    EXPECT_GT(tensors->bytes_in_use(), 0U);
  }
  allocator.raw_deallocate(shared);
  EXPECT_EQ(tensors->bytes_in_use(), 0U);
}

// As PyTorch's loader starts its workers.
TEST(SharedTensorsTest, AForkedChildMakesOrdinaryTensors) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const SharedTensorsScope scope(tensors);
  at::Tensor inherited = uninitialized_kib(9);
  const int calls = source.calls;
  const pid_t child = fork();
  if (child == 0) {
    inherited.reset();
    const at::Tensor own = uninitialized_kib(9);
    _exit(source.calls == calls && !source.has(own) && tensors->bytes_idle() == 0 ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(source.has(uninitialized_kib(9)));
}

TEST(SharedTensorsTest, AreBooked) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(source.allocate(), at_least_8_kib);
  const auto account = std::make_shared<MemoryAccount>();
  const MemoryAccountScope booked(account);
  {
    const SharedTensorsScope scope(tensors);
    const at::Tensor tensor = uninitialized_kib(9);
    EXPECT_EQ(account->current(), 9 * kKibibyte);
  }
  EXPECT_EQ(account->current(), 0);
  EXPECT_EQ(account->peak(), 9 * kKibibyte);
}

// As autograd makes them: the gradient is what the backward of the last operation allocated.
TEST(SharedTensorsTest, GradientsAreWhatBackwardMade) {
  Source source;
  const auto tensors = std::make_shared<SharedTensors>(
      source.allocate(), [](std::size_t bytes) { return bytes == std::size_t{64} * 48 * 4; });
  const at::Tensor weight = torch::randn({64, 48}, torch::requires_grad());
  const at::Tensor loss = torch::linear(torch::randn({5, 48}), weight).sum();
  {
    const SharedTensorsScope scope(tensors);
    loss.backward();
  }
  ASSERT_TRUE(weight.grad().defined());
  EXPECT_TRUE(source.has(weight.grad()));
}

}  // namespace
}  // namespace shoal

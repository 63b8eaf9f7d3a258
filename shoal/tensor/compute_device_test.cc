// Tensors of a device and the host memory that communication gets of them.
#include "shoal/tensor/compute_device.h"

#include <gtest/gtest.h>

#include <span>

#include "shoal/core/error.h"
#include "shoal/tensor/test_device.h"

namespace shoal {
namespace {

std::span<float> numbers(const Buffer& buffer) {
  return {reinterpret_cast<float*>(buffer.data), buffer.elements};
}

TEST(HostMemory, IsTheTensorsOwnOnTheCpu) {
  const at::Tensor tensor = at::arange(6, at::kFloat).reshape({2, 3});
  HostMemory memory({tensor}, {}, HostMemory::Use::both);
  ASSERT_EQ(memory.buffers().size(), 1u);
  EXPECT_EQ(memory.buffers()[0].data, static_cast<std::byte*>(tensor.data_ptr()));
  numbers(memory.buffers()[0])[4] = 40;
  EXPECT_EQ(tensor[1][1].item<float>(), 40);
  memory.write_back();
  EXPECT_EQ(tensor[1][1].item<float>(), 40);
}

TEST(HostMemory, IsACopyThatIsBroughtBackOnADevice) {
  const ComputeDevice device = test_device::device();
  const at::Tensor a = device.move(at::arange(6, at::kFloat).reshape({2, 3}));
  const at::Tensor b = device.move(at::full({2}, 7.0F));
  ASSERT_FALSE(a.is_cpu());
  HostMemory memory({a.t().contiguous(), b}, device, HostMemory::Use::both);
  const auto first = numbers(memory.buffers()[0]), second = numbers(memory.buffers()[1]);
  EXPECT_EQ(first[1], 3);  // a[1][0]
  EXPECT_EQ(second[1], 7);
  second[1] = 8;
  EXPECT_EQ(b[1].item<float>(), 7);
  memory.write_back();
  EXPECT_EQ(b[1].item<float>(), 8);
  EXPECT_EQ(b[0].item<float>(), 7);
}

TEST(HostMemory, TakesWithoutGiving) {
  const ComputeDevice device = test_device::device();
  const at::Tensor tensor = device.move(at::zeros({3}));
  HostMemory memory({tensor}, device, HostMemory::Use::take);
  for (float& number : numbers(memory.buffers()[0])) number = 5;
  memory.write_back();
  EXPECT_TRUE(at::equal(tensor.cpu(), at::full({3}, 5.0F)));
}

TEST(ComputeDevice, MovesWhatThereIs) {
  const ComputeDevice device = test_device::device();
  EXPECT_FALSE(device.move({}).defined());
  const at::Tensor moved = device.move(at::arange(4, at::kFloat));
  EXPECT_EQ(moved.device(), device.device());
  EXPECT_TRUE(moved.is_same(device.move(moved)));
  EXPECT_TRUE(ComputeDevice::named("cpu", 3).is_cpu());
  EXPECT_FALSE(ComputeDevice().new_stream().has_value());
}

TEST(ComputeDevice, AStreamIsThatOfTheThreadInItsScope) {
  const ComputeDevice device = test_device::device();
  const auto before = device.current_stream();
  const auto other = device.new_stream();
  {
    const StreamScope scope(other);
    EXPECT_EQ(device.current_stream(), other);
  }
  EXPECT_EQ(device.current_stream(), before);
  EXPECT_NE(before, other);
}

}  // namespace
}  // namespace shoal

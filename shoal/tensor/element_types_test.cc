#include "shoal/tensor/element_types.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

#include "shoal/core/error.h"
#include "shoal/tensor/torch_settings.h"

namespace shoal {
namespace {

template <typename Act>
std::string refusal(const Act& act) {
  try {
    act();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(ElementTypes, GoThereAndBack) {
  for (const auto type :
       {ElementType::float32, ElementType::float64, ElementType::float16, ElementType::bfloat16,
        ElementType::int8, ElementType::int16, ElementType::int32, ElementType::int64,
        ElementType::uint8, ElementType::boolean}) {
    EXPECT_EQ(element_type(scalar_type(type)), type);
    EXPECT_EQ(c10::elementSize(scalar_type(type)), size_of(type)) << name_of(type);
  }
}

TEST(ElementTypes, RefuseWhatShoalDoesNotCarry) {
  EXPECT_THAT(refusal([] { element_type(at::kComplexFloat); }), testing::HasSubstr("ComplexFloat"));
}

TEST(BufferOf, IsTheTensorsOwnMemory) {
  const at::Tensor tensor = torch::zeros({2, 3}, torch::kDouble);
  const Buffer buffer = buffer_of(tensor);
  EXPECT_EQ(buffer.elements, 6u);
  EXPECT_EQ(buffer.bytes(), 48u);
  EXPECT_EQ(buffer.type, ElementType::float64);
  reinterpret_cast<double*>(buffer.data)[5] = 2.5;
  EXPECT_EQ(tensor[1][2].item<double>(), 2.5);
}

TEST(BufferOf, TakesEmptyTensors) { EXPECT_EQ(buffer_of(torch::zeros({0, 3})).elements, 0u); }

TEST(BufferOf, RefusesWhatIsNotOneRunOfMemory) {
  EXPECT_THAT(refusal([] {
                buffer_of(torch::zeros({2, 3}).t());
              }),
              testing::HasSubstr("[3, 2] is not contiguous"));
  EXPECT_THAT(refusal([] { buffer_of(at::Tensor()); }), testing::HasSubstr("without contents"));
}

TEST(ConfigureTorch, SetsThreadsAndMayBeCalledAgain) {
  configure_torch(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_EQ(at::get_num_interop_threads(), 1);
  torch::ones({100, 100}).mm(torch::ones({100, 100}));
  configure_torch(1);
  configure_torch(2);
  EXPECT_EQ(at::get_num_threads(), 2);
  configure_torch(1);
  EXPECT_THAT(refusal([] { configure_torch(0); }), testing::HasSubstr("give 1 or more"));
}

}  // namespace
}  // namespace shoal

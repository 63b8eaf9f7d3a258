#include "shoal/tensor/element_types.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "shoal/core/error.h"

namespace shoal {

std::optional<ElementType> known_element_type(at::ScalarType type) {
  // LibTorch has some forty types, so this switch has a default, unlike those over our own enums.
  switch (type) {
    case at::kFloat:
      return ElementType::float32;
    case at::kDouble:
      return ElementType::float64;
    case at::kHalf:
      return ElementType::float16;
    case at::kBFloat16:
      return ElementType::bfloat16;
    case at::kChar:
      return ElementType::int8;
    case at::kShort:
      return ElementType::int16;
    case at::kInt:
      return ElementType::int32;
    case at::kLong:
      return ElementType::int64;
    case at::kByte:
      return ElementType::uint8;
    case at::kBool:
      return ElementType::boolean;
    default:
      return std::nullopt;
  }
}

ElementType element_type(at::ScalarType type) {
  if (const auto known = known_element_type(type)) return *known;
  throw InvalidInput(
      fmt::format("tensors of type {} are not supported: convert to a real or integer type first",
                  c10::toString(type)));
}

at::ScalarType scalar_type(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return at::kFloat;
    case ElementType::float64:
      return at::kDouble;
    case ElementType::float16:
      return at::kHalf;
    case ElementType::bfloat16:
      return at::kBFloat16;
    case ElementType::int8:
      return at::kChar;
    case ElementType::int16:
      return at::kShort;
    case ElementType::int32:
      return at::kInt;
    case ElementType::int64:
      return at::kLong;
    case ElementType::uint8:
      return at::kByte;
    case ElementType::boolean:
      return at::kBool;
  }
  throw InvalidInput(fmt::format("element type {} is unknown", static_cast<int>(type)));
}

Buffer buffer_of(const at::Tensor& tensor) {
  if (!tensor.defined()) throw InvalidInput("a tensor without contents has no memory to pass on");
  if (!tensor.device().is_cpu()) {
    throw InvalidInput(
        fmt::format("a tensor on {} was given where CPU memory is needed: move it to the CPU first",
                    tensor.device().str()));
  }
  if (!tensor.is_contiguous()) {
    throw InvalidInput(fmt::format("a tensor of shape [{}] is not contiguous: call contiguous()",
                                   fmt::join(tensor.sizes(), ", ")));
  }
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.numel()),
          element_type(tensor.scalar_type())};
}

}  // namespace shoal

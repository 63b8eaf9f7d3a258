// Between shoal's element types and buffers and LibTorch's.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "shoal/comm/group.h"
#include "shoal/core/element_type.h"

namespace shoal {

std::optional<ElementType> known_element_type(at::ScalarType type);
ElementType element_type(at::ScalarType type);  // InvalidInput for types that shoal does not carry
at::ScalarType scalar_type(ElementType type);

// The memory of a contiguous CPU tensor (checked), borrowed.
Buffer buffer_of(const at::Tensor& tensor);

}  // namespace shoal

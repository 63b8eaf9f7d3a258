// These loops are worth -O3 (vectors also where a remainder is left) whatever the rest is built
// with.
#pragma GCC optimize("O3")

#include "shoal/comm/reduce_kernels.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "shoal/comm/half_types.h"

// The loops are compiled twice, for the baseline and for AVX2, and chosen when first asked for: a
// table of functions instead of the compiler's function clones, whose resolvers run before the
// sanitizers are ready. Plain additions give the same bits in both.
#if defined(__x86_64__)
#define SHOAL_FOR_AVX2 [[gnu::target("avx2")]]
#else
#define SHOAL_FOR_AVX2
#endif
#define SHOAL_INLINE [[gnu::always_inline]] inline

namespace shoal {
namespace {

struct Boolean {
  std::uint8_t value;
};

// In what type values of T are summed, and the way there and back.
template <typename T>
struct Wide {
  using Type = T;
  SHOAL_INLINE static T to(T value) { return value; }
  SHOAL_INLINE static T from(T value) { return value; }
};
template <>
struct Wide<BFloat16> {
  using Type = float;
  SHOAL_INLINE static float to(BFloat16 value) { return widened(value); }
  SHOAL_INLINE static BFloat16 from(float value) { return rounded_to_bfloat16(value); }
};
template <>
struct Wide<Float16> {
  using Type = float;
  SHOAL_INLINE static float to(Float16 value) { return widened(value); }
  SHOAL_INLINE static Float16 from(float value) { return rounded_to_float16(value); }
};
template <>
struct Wide<Boolean> {
  using Type = std::uint8_t;
  SHOAL_INLINE static std::uint8_t to(Boolean value) { return value.value != 0 ? 1 : 0; }
  SHOAL_INLINE static Boolean from(std::uint8_t value) {
    return {static_cast<std::uint8_t>(value != 0 ? 1 : 0)};
  }
};

template <typename T, ReduceOp op>
SHOAL_INLINE typename Wide<T>::Type combined(typename Wide<T>::Type a, typename Wide<T>::Type b) {
  using W = typename Wide<T>::Type;
  if constexpr (op == ReduceOp::sum) {
    if constexpr (std::is_same_v<T, Boolean>) {
      return static_cast<W>(a | b);
    } else if constexpr (std::is_integral_v<W>) {
      // Through unsigned numbers, where wrapping is defined.
      using U = std::make_unsigned_t<W>;
      return static_cast<W>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
    } else {
      return a + b;
    }
  } else if constexpr (std::is_floating_point_v<W>) {
    // A comparison with NaN is false: `a` is kept when it is the NaN, `b` wins when it is.
    const bool keep = op == ReduceOp::min ? a <= b : a >= b;
    return (keep || a != a) ? a : b;
  } else {
    return op == ReduceOp::min ? std::min(a, b) : std::max(a, b);
  }
}

// Sources and outputs may start at the same place but do not overlap otherwise, so iterations are
// independent, which the compiler cannot know.
template <typename T, ReduceOp op>
SHOAL_INLINE void reduce_two(const T* a, const T* b, T* out, T* second_out, std::size_t n) {
  if (second_out == nullptr) {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = Wide<T>::from(combined<T, op>(Wide<T>::to(a[i]), Wide<T>::to(b[i])));
    }
    return;
  }
#pragma GCC ivdep
  for (std::size_t i = 0; i < n; ++i) {
    const T value = Wide<T>::from(combined<T, op>(Wide<T>::to(a[i]), Wide<T>::to(b[i])));
    out[i] = value;
    second_out[i] = value;
  }
}

// More than two sources: blocks whose partial results stay in the first-level cache.
template <typename T, ReduceOp op>
SHOAL_INLINE void reduce_blocks(std::span<const std::byte* const> sources,
                                std::span<std::byte* const> outputs, std::size_t elements) {
  using W = typename Wide<T>::Type;
  constexpr std::size_t kBlock = 1024;
  alignas(64) W partial[kBlock];
  for (std::size_t begin = 0; begin < elements; begin += kBlock) {
    const std::size_t n = std::min(kBlock, elements - begin);
    const T* first = reinterpret_cast<const T*>(sources[0]) + begin;
    for (std::size_t i = 0; i < n; ++i) partial[i] = Wide<T>::to(first[i]);
    for (std::size_t s = 1; s < sources.size(); ++s) {
      const T* source = reinterpret_cast<const T*>(sources[s]) + begin;
      for (std::size_t i = 0; i < n; ++i) {
        partial[i] = combined<T, op>(partial[i], Wide<T>::to(source[i]));
      }
    }
    for (std::byte* const output : outputs) {
      T* out = reinterpret_cast<T*>(output) + begin;
      for (std::size_t i = 0; i < n; ++i) out[i] = Wide<T>::from(partial[i]);
    }
  }
}

template <typename T, ReduceOp op>
SHOAL_INLINE void reduce(std::span<const std::byte* const> sources,
                         std::span<std::byte* const> outputs, std::size_t elements) {
  if (sources.size() == 2 && (outputs.size() == 1 || outputs.size() == 2)) {
    reduce_two<T, op>(reinterpret_cast<const T*>(sources[0]),
                      reinterpret_cast<const T*>(sources[1]), reinterpret_cast<T*>(outputs[0]),
                      outputs.size() == 2 ? reinterpret_cast<T*>(outputs[1]) : nullptr, elements);
    return;
  }
  reduce_blocks<T, op>(sources, outputs, elements);
}

template <typename T>
SHOAL_INLINE void widen(const std::byte* values, std::byte* out, std::size_t elements) {
  const T* from = reinterpret_cast<const T*>(values);
  auto* to = reinterpret_cast<typename Wide<T>::Type*>(out);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) to[i] = Wide<T>::to(from[i]);
}

template <typename T, ReduceOp op>
SHOAL_INLINE void take_in(std::byte* partial, const std::byte* values, std::size_t elements) {
  auto* sum = reinterpret_cast<typename Wide<T>::Type*>(partial);
  const T* from = reinterpret_cast<const T*>(values);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) sum[i] = combined<T, op>(sum[i], Wide<T>::to(from[i]));
}

template <typename T>
SHOAL_INLINE void narrow(const std::byte* partial, std::byte* out, std::size_t elements) {
  const auto* from = reinterpret_cast<const typename Wide<T>::Type*>(partial);
  T* to = reinterpret_cast<T*>(out);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) to[i] = Wide<T>::from(from[i]);
}

template <typename T, ReduceOp op>
struct Baseline {
  static void reduce_all(std::span<const std::byte* const> sources,
                         std::span<std::byte* const> outputs, std::size_t elements) {
    reduce<T, op>(sources, outputs, elements);
  }
  static void widen_all(const std::byte* values, std::byte* out, std::size_t elements) {
    widen<T>(values, out, elements);
  }
  static void take_in_all(std::byte* partial, const std::byte* values, std::size_t elements) {
    take_in<T, op>(partial, values, elements);
  }
  static void narrow_all(const std::byte* partial, std::byte* out, std::size_t elements) {
    narrow<T>(partial, out, elements);
  }
};

template <typename T, ReduceOp op>
struct Avx2 {
  SHOAL_FOR_AVX2 static void reduce_all(std::span<const std::byte* const> sources,
                                        std::span<std::byte* const> outputs, std::size_t elements) {
    reduce<T, op>(sources, outputs, elements);
  }
  SHOAL_FOR_AVX2 static void widen_all(const std::byte* values, std::byte* out,
                                       std::size_t elements) {
    widen<T>(values, out, elements);
  }
  SHOAL_FOR_AVX2 static void take_in_all(std::byte* partial, const std::byte* values,
                                         std::size_t elements) {
    take_in<T, op>(partial, values, elements);
  }
  SHOAL_FOR_AVX2 static void narrow_all(const std::byte* partial, std::byte* out,
                                        std::size_t elements) {
    narrow<T>(partial, out, elements);
  }
};

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

struct Kernels {
  Reduction reduce;
  HopReduction hop;
};

template <typename T, ReduceOp op>
Kernels kernels() {
  using B = Baseline<T, op>;
  using V = Avx2<T, op>;
  if (has_avx2()) return {V::reduce_all, {V::widen_all, V::take_in_all, V::narrow_all}};
  return {B::reduce_all, {B::widen_all, B::take_in_all, B::narrow_all}};
}

template <typename T>
Kernels kernels_for(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return kernels<T, ReduceOp::sum>();
    case ReduceOp::min:
      return kernels<T, ReduceOp::min>();
    case ReduceOp::max:
      return kernels<T, ReduceOp::max>();
  }
  return {};
}

Kernels kernels_for(ElementType type, ReduceOp op) {
  switch (type) {
    case ElementType::float32:
      return kernels_for<float>(op);
    case ElementType::float64:
      return kernels_for<double>(op);
    case ElementType::float16:
      return kernels_for<Float16>(op);
    case ElementType::bfloat16:
      return kernels_for<BFloat16>(op);
    case ElementType::int8:
      return kernels_for<std::int8_t>(op);
    case ElementType::int16:
      return kernels_for<std::int16_t>(op);
    case ElementType::int32:
      return kernels_for<std::int32_t>(op);
    case ElementType::int64:
      return kernels_for<std::int64_t>(op);
    case ElementType::uint8:
      return kernels_for<std::uint8_t>(op);
    case ElementType::boolean:
      return kernels_for<Boolean>(op);
  }
  return {};
}

}  // namespace

Reduction reduction_of(ElementType type, ReduceOp op) { return kernels_for(type, op).reduce; }

HopReduction hop_reduction_of(ElementType type, ReduceOp op) { return kernels_for(type, op).hop; }

}  // namespace shoal

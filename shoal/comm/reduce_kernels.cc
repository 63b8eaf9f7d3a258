// These loops are worth -O3 (vectors also where a remainder is left) whatever
// the rest is built with.
#pragma GCC optimize("O3,no-trapping-math")

#include "shoal/comm/reduce_kernels.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "shoal/comm/half_types.h"

// The loops are compiled twice, for the baseline and for AVX2, and chosen when
// first asked for: a table of functions instead of the compiler's function
// clones, whose resolvers run before the sanitizers are ready. Plain additions
// give the same bits in both.
#if defined(__x86_64__)
#define SHOAL_FOR_AVX2 [[gnu::target("avx2")]]
#else
#define SHOAL_FOR_AVX2
#endif
#define SHOAL_INLINE [[gnu::always_inline]] inline

namespace shoal {
namespace {

// How an element lies in memory, in what type it is summed, and the way there
// and back.
template <typename T>
struct Plain {
  using Stored = T;
  using Sum = T;
  SHOAL_INLINE static T to(T value) { return value; }
  SHOAL_INLINE static T from(T value) { return value; }
};
struct BFloat16Element {
  using Stored = std::uint16_t;
  using Sum = float;
  SHOAL_INLINE static float to(std::uint16_t bits) { return widened(BFloat16{bits}); }
  SHOAL_INLINE static std::uint16_t from(float value) { return rounded_to_bfloat16(value).bits; }
};
struct Float16Element {
  using Stored = std::uint16_t;
  using Sum = float;
  SHOAL_INLINE static float to(std::uint16_t bits) { return widened(Float16{bits}); }
  SHOAL_INLINE static std::uint16_t from(float value) { return rounded_to_float16(value).bits; }
};
struct BooleanElement {
  using Stored = std::uint8_t;
  using Sum = std::uint8_t;
  SHOAL_INLINE static std::uint8_t to(std::uint8_t value) { return value != 0 ? 1 : 0; }
  SHOAL_INLINE static std::uint8_t from(std::uint8_t value) { return value; }
};

template <typename E>
using Stored = typename E::Stored;

// Through unsigned numbers, where wrapping is defined; small ones would become int first.
template <typename W, typename Operation>
SHOAL_INLINE W wrapped(W a, W b, const Operation &operation) {
  using U = std::make_unsigned_t<W>;
  using Wide = std::conditional_t<sizeof(U) < 4, std::uint32_t, U>;
  return static_cast<W>(static_cast<U>(
      operation(static_cast<Wide>(static_cast<U>(a)), static_cast<Wide>(static_cast<U>(b)))));
}

template <typename E, ReduceOp op>
SHOAL_INLINE typename E::Sum combined(typename E::Sum a, typename E::Sum b) {
  using W = typename E::Sum;
  constexpr bool kIsBoolean = std::is_same_v<E, BooleanElement>;
  constexpr bool kIsFloat = std::is_floating_point_v<W>;
  if constexpr (op == ReduceOp::min || op == ReduceOp::max) {
    if constexpr (kIsFloat) {
      // A comparison with NaN is false: `a` is kept when it is the NaN, `b` wins
      // when it is.
      const bool keep = op == ReduceOp::min ? a <= b : a >= b;
      return (keep || a != a) ? a : b;
    } else {
      return op == ReduceOp::min ? std::min(a, b) : std::max(a, b);
    }
  } else if constexpr (op == ReduceOp::bit_and || (kIsBoolean && op == ReduceOp::product)) {
    return static_cast<W>(a & b);
  } else if constexpr (op == ReduceOp::bit_or || (kIsBoolean && op == ReduceOp::sum)) {
    return static_cast<W>(a | b);
  } else if constexpr (op == ReduceOp::bit_xor) {
    return static_cast<W>(a ^ b);
  } else if constexpr (op == ReduceOp::product) {
    if constexpr (kIsFloat)
      return a * b;
    else
      return wrapped(a, b, [](auto x, auto y) { return x * y; });
  } else {
    if constexpr (kIsFloat)
      return a + b;
    else
      return wrapped(a, b, [](auto x, auto y) { return x + y; });
  }
}

// What is stored of a whole result.
template <typename E, ReduceOp op>
SHOAL_INLINE Stored<E> stored(typename E::Sum value, [[maybe_unused]] std::size_t ranks) {
  if constexpr (op == ReduceOp::mean) {
    return E::from(value / static_cast<typename E::Sum>(ranks));
  } else {
    return E::from(value);
  }
}

// Sources and outputs may start at the same place but do not overlap otherwise,
// so iterations are independent, which the compiler cannot know.
template <typename E, ReduceOp op>
SHOAL_INLINE void reduce_two(const Stored<E> *a, const Stored<E> *b, Stored<E> *out,
                             Stored<E> *second_out, std::size_t n) {
  if (second_out == nullptr) {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = stored<E, op>(combined<E, op>(E::to(a[i]), E::to(b[i])), 2);
    }
    return;
  }
#pragma GCC ivdep
  for (std::size_t i = 0; i < n; ++i) {
    const Stored<E> value = stored<E, op>(combined<E, op>(E::to(a[i]), E::to(b[i])), 2);
    out[i] = value;
    second_out[i] = value;
  }
}

// More than two sources: blocks whose partial results stay in the first-level
// cache.
template <typename E, ReduceOp op>
SHOAL_INLINE void reduce_blocks(std::span<const std::byte *const> sources,
                                std::span<std::byte *const> outputs, std::size_t elements) {
  using W = typename E::Sum;
  constexpr std::size_t kBlock = 1024;
  alignas(64) W partial[kBlock];
  for (std::size_t begin = 0; begin < elements; begin += kBlock) {
    const std::size_t n = std::min(kBlock, elements - begin);
    const Stored<E> *first = reinterpret_cast<const Stored<E> *>(sources[0]) + begin;
    for (std::size_t i = 0; i < n; ++i) partial[i] = E::to(first[i]);
    for (std::size_t s = 1; s < sources.size(); ++s) {
      const Stored<E> *source = reinterpret_cast<const Stored<E> *>(sources[s]) + begin;
      for (std::size_t i = 0; i < n; ++i) {
        partial[i] = combined<E, op>(partial[i], E::to(source[i]));
      }
    }
    for (std::byte *const output : outputs) {
      Stored<E> *out = reinterpret_cast<Stored<E> *>(output) + begin;
      for (std::size_t i = 0; i < n; ++i) out[i] = stored<E, op>(partial[i], sources.size());
    }
  }
}

template <typename E, ReduceOp op>
SHOAL_INLINE void reduce(std::span<const std::byte *const> sources,
                         std::span<std::byte *const> outputs, std::size_t elements) {
  if (sources.size() == 2 && (outputs.size() == 1 || outputs.size() == 2)) {
    reduce_two<E, op>(
        reinterpret_cast<const Stored<E> *>(sources[0]),
        reinterpret_cast<const Stored<E> *>(sources[1]), reinterpret_cast<Stored<E> *>(outputs[0]),
        outputs.size() == 2 ? reinterpret_cast<Stored<E> *>(outputs[1]) : nullptr, elements);
    return;
  }
  reduce_blocks<E, op>(sources, outputs, elements);
}

template <typename E>
SHOAL_INLINE void widen(const std::byte *values, std::byte *out, std::size_t elements) {
  const Stored<E> *from = reinterpret_cast<const Stored<E> *>(values);
  auto *to = reinterpret_cast<typename E::Sum *>(out);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) to[i] = E::to(from[i]);
}

template <typename E, ReduceOp op>
SHOAL_INLINE void take_in(std::byte *partial, const std::byte *values, std::size_t elements) {
  auto *sum = reinterpret_cast<typename E::Sum *>(partial);
  const Stored<E> *from = reinterpret_cast<const Stored<E> *>(values);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) sum[i] = combined<E, op>(sum[i], E::to(from[i]));
}

template <typename E>
SHOAL_INLINE void divide(std::byte *values, int ranks, std::size_t elements) {
  using W = typename E::Sum;
  auto *sums = reinterpret_cast<W *>(values);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) sums[i] = sums[i] / static_cast<W>(ranks);
}

template <typename E>
SHOAL_INLINE void narrow(const std::byte *partial, std::byte *out, std::size_t elements) {
  const auto *from = reinterpret_cast<const typename E::Sum *>(partial);
  Stored<E> *to = reinterpret_cast<Stored<E> *>(out);
#pragma GCC ivdep
  for (std::size_t i = 0; i < elements; ++i) to[i] = E::from(from[i]);
}

template <typename E, ReduceOp op>
struct Baseline {
  static void reduce_all(std::span<const std::byte *const> sources,
                         std::span<std::byte *const> outputs, std::size_t elements) {
    reduce<E, op>(sources, outputs, elements);
  }
  static void widen_all(const std::byte *values, std::byte *out, std::size_t elements) {
    widen<E>(values, out, elements);
  }
  static void take_in_all(std::byte *partial, const std::byte *values, std::size_t elements) {
    take_in<E, op>(partial, values, elements);
  }
  static void divide_all(std::byte *values, int ranks, std::size_t elements) {
    divide<E>(values, ranks, elements);
  }
  static void narrow_all(const std::byte *partial, std::byte *out, std::size_t elements) {
    narrow<E>(partial, out, elements);
  }
};

template <typename E, ReduceOp op>
struct Avx2 {
  SHOAL_FOR_AVX2 static void reduce_all(std::span<const std::byte *const> sources,
                                        std::span<std::byte *const> outputs, std::size_t elements) {
    reduce<E, op>(sources, outputs, elements);
  }
  SHOAL_FOR_AVX2 static void widen_all(const std::byte *values, std::byte *out,
                                       std::size_t elements) {
    widen<E>(values, out, elements);
  }
  SHOAL_FOR_AVX2 static void take_in_all(std::byte *partial, const std::byte *values,
                                         std::size_t elements) {
    take_in<E, op>(partial, values, elements);
  }
  SHOAL_FOR_AVX2 static void divide_all(std::byte *values, int ranks, std::size_t elements) {
    divide<E>(values, ranks, elements);
  }
  SHOAL_FOR_AVX2 static void narrow_all(const std::byte *partial, std::byte *out,
                                        std::size_t elements) {
    narrow<E>(partial, out, elements);
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

template <typename E, ReduceOp op>
Kernels kernels() {
  using B = Baseline<E, op>;
  using V = Avx2<E, op>;
  if (has_avx2()) {
    return {V::reduce_all, {V::widen_all, V::take_in_all, V::divide_all, V::narrow_all}};
  }
  return {B::reduce_all, {B::widen_all, B::take_in_all, B::divide_all, B::narrow_all}};
}

template <typename E>
Kernels kernels_for(ReduceOp op) {
  constexpr bool kIsFloat = std::is_floating_point_v<typename E::Sum>;
  switch (op) {
    case ReduceOp::sum:
      return kernels<E, ReduceOp::sum>();
    case ReduceOp::min:
      return kernels<E, ReduceOp::min>();
    case ReduceOp::max:
      return kernels<E, ReduceOp::max>();
    case ReduceOp::product:
      return kernels<E, ReduceOp::product>();
    case ReduceOp::mean:
      if constexpr (kIsFloat) return kernels<E, ReduceOp::mean>();
      break;
    case ReduceOp::bit_and:
      if constexpr (!kIsFloat) return kernels<E, ReduceOp::bit_and>();
      break;
    case ReduceOp::bit_or:
      if constexpr (!kIsFloat) return kernels<E, ReduceOp::bit_or>();
      break;
    case ReduceOp::bit_xor:
      if constexpr (!kIsFloat) return kernels<E, ReduceOp::bit_xor>();
      break;
  }
  return {};
}

Kernels kernels_for(ElementType type, ReduceOp op) {
  switch (type) {
    case ElementType::float32:
      return kernels_for<Plain<float>>(op);
    case ElementType::float64:
      return kernels_for<Plain<double>>(op);
    case ElementType::float16:
      return kernels_for<Float16Element>(op);
    case ElementType::bfloat16:
      return kernels_for<BFloat16Element>(op);
    case ElementType::int8:
      return kernels_for<Plain<std::int8_t>>(op);
    case ElementType::int16:
      return kernels_for<Plain<std::int16_t>>(op);
    case ElementType::int32:
      return kernels_for<Plain<std::int32_t>>(op);
    case ElementType::int64:
      return kernels_for<Plain<std::int64_t>>(op);
    case ElementType::uint8:
      return kernels_for<Plain<std::uint8_t>>(op);
    case ElementType::boolean:
      return kernels_for<BooleanElement>(op);
  }
  return {};
}

}  // namespace

Reduction reduction_of(ElementType type, ReduceOp op) { return kernels_for(type, op).reduce; }

bool can_reduce(ElementType type, ReduceOp op) { return reduction_of(type, op) != nullptr; }

HopReduction hop_reduction_of(ElementType type, ReduceOp op) { return kernels_for(type, op).hop; }

}  // namespace shoal

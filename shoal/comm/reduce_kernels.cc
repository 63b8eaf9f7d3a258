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
void baseline_reduce(std::span<const std::byte *const> sources, std::span<std::byte *const> outputs,
                     std::size_t elements) {
  reduce<E, op>(sources, outputs, elements);
}
template <typename E>
struct Baseline {
  static void widen_all(const std::byte *values, std::byte *out, std::size_t elements) {
    widen<E>(values, out, elements);
  }
  static void divide_all(std::byte *values, int ranks, std::size_t elements) {
    divide<E>(values, ranks, elements);
  }
  static void narrow_all(const std::byte *wide, std::byte *out, std::size_t elements) {
    narrow<E>(wide, out, elements);
  }
};

template <typename E, ReduceOp op>
SHOAL_FOR_AVX2 void avx2_reduce(std::span<const std::byte *const> sources,
                                std::span<std::byte *const> outputs, std::size_t elements) {
  reduce<E, op>(sources, outputs, elements);
}
template <typename E>
struct Avx2 {
  SHOAL_FOR_AVX2 static void widen_all(const std::byte *values, std::byte *out,
                                       std::size_t elements) {
    widen<E>(values, out, elements);
  }
  SHOAL_FOR_AVX2 static void divide_all(std::byte *values, int ranks, std::size_t elements) {
    divide<E>(values, ranks, elements);
  }
  SHOAL_FOR_AVX2 static void narrow_all(const std::byte *wide, std::byte *out,
                                        std::size_t elements) {
    narrow<E>(wide, out, elements);
  }
};

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

template <typename E, ReduceOp op>
Reduction reduction() {
  return has_avx2() ? avx2_reduce<E, op> : baseline_reduce<E, op>;
}

template <typename E>
Reduction reduction_of_element(ReduceOp op) {
  constexpr bool kIsFloat = std::is_floating_point_v<typename E::Sum>;
  switch (op) {
    case ReduceOp::sum:
      return reduction<E, ReduceOp::sum>();
    case ReduceOp::min:
      return reduction<E, ReduceOp::min>();
    case ReduceOp::max:
      return reduction<E, ReduceOp::max>();
    case ReduceOp::product:
      return reduction<E, ReduceOp::product>();
    case ReduceOp::mean:
      if constexpr (kIsFloat) return reduction<E, ReduceOp::mean>();
      break;
    case ReduceOp::bit_and:
      if constexpr (!kIsFloat) return reduction<E, ReduceOp::bit_and>();
      break;
    case ReduceOp::bit_or:
      if constexpr (!kIsFloat) return reduction<E, ReduceOp::bit_or>();
      break;
    case ReduceOp::bit_xor:
      if constexpr (!kIsFloat) return reduction<E, ReduceOp::bit_xor>();
      break;
  }
  return nullptr;
}

template <typename E>
WideForm wide_form() {
  using B = Baseline<E>;
  using V = Avx2<E>;
  if (has_avx2()) return {V::widen_all, V::divide_all, V::narrow_all};
  return {B::widen_all, B::divide_all, B::narrow_all};
}

// What `answer` gives for the element that lies in memory as `type`.
template <typename Answer>
auto for_element(ElementType type, const Answer &answer) {
  switch (type) {
    case ElementType::float32:
      return answer(Plain<float>());
    case ElementType::float64:
      return answer(Plain<double>());
    case ElementType::float16:
      return answer(Float16Element());
    case ElementType::bfloat16:
      return answer(BFloat16Element());
    case ElementType::int8:
      return answer(Plain<std::int8_t>());
    case ElementType::int16:
      return answer(Plain<std::int16_t>());
    case ElementType::int32:
      return answer(Plain<std::int32_t>());
    case ElementType::int64:
      return answer(Plain<std::int64_t>());
    case ElementType::uint8:
      return answer(Plain<std::uint8_t>());
    case ElementType::boolean:
      return answer(BooleanElement());
  }
  return decltype(answer(Plain<float>())){};
}

}  // namespace

Reduction reduction_of(ElementType type, ReduceOp op) {
  return for_element(type, [&]<typename E>(E) { return reduction_of_element<E>(op); });
}

bool can_reduce(ElementType type, ReduceOp op) { return reduction_of(type, op) != nullptr; }

WideForm wide_form_of(ElementType type) {
  return for_element(type, []<typename E>(E) { return wide_form<E>(); });
}

}  // namespace shoal

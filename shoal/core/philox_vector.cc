#include "shoal/core/philox_vector.h"

#include <algorithm>

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shoal/core/philox_vector.cc"
#include <hwy/foreach_target.h>  // compiles this file once for each kind of CPU: must be first
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace shoal::detail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// Without vectors there is nothing to gain: the caller goes on block by block.
std::size_t bits_on_vectors(const PhiloxRange&, std::uint32_t*) { return 0; }
std::size_t uniform_on_vectors(const PhiloxRange&, float*) { return 0; }

#else

using Wide = hn::ScalableTag<std::uint64_t>;
using Narrow = hn::Repartition<std::uint32_t, Wide>;
using Word = hn::Vec<Wide>;

// One word of several blocks, a block a 64-bit lane. Only the low half of a lane counts: the
// product of two low halves needs no shuffle, and leaves the low word of the product where it
// belongs.
struct Blocks {
  Word word[4];
};

HWY_INLINE Word product(Word a, Word b) {
  const Narrow narrow;
  return hn::MulEven(hn::BitCast(narrow, a), hn::BitCast(narrow, b));
}

HWY_INLINE Blocks blocks_at(const PhiloxRange& range, std::size_t done) {
  const Wide wide;
  const Word multiplier0 = hn::Set(wide, 0xD2511F53u);
  const Word multiplier1 = hn::Set(wide, 0xCD9E8D57u);
  Blocks b{{hn::Add(hn::Iota(wide, 0), hn::Set(wide, range.counter[0] + done)),
            hn::Set(wide, range.counter[1]), hn::Set(wide, range.counter[2]),
            hn::Set(wide, range.counter[3])}};
  std::uint32_t key0 = range.key[0];
  std::uint32_t key1 = range.key[1];
  for (int round = 0; round < 10; ++round) {
    const Word product0 = product(b.word[0], multiplier0);
    const Word product1 = product(b.word[2], multiplier1);
    b.word[0] = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), b.word[1]), hn::Set(wide, key0));
    b.word[1] = product1;
    b.word[2] = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), b.word[3]), hn::Set(wide, key1));
    b.word[3] = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return b;
}

// `low` and `high` words side by side, as they lie in memory on a little-endian machine.
HWY_INLINE hn::Vec<Narrow> side_by_side(Word low, Word high) {
  const Narrow narrow;
  return hn::OddEven(hn::BitCast(narrow, hn::ShiftLeft<32>(high)), hn::BitCast(narrow, low));
}

// Calls store(address of the first number, words 0 and 1, words 2 and 3) for whole vectors.
template <typename Store>
HWY_INLINE std::size_t for_whole_vectors(const PhiloxRange& range, const Store& store) {
  const std::size_t lanes = hn::Lanes(Wide());
  std::size_t done = 0;
  for (; done + lanes <= range.blocks; done += lanes) {
    const Blocks b = blocks_at(range, done);
    store(4 * done, side_by_side(b.word[0], b.word[1]), side_by_side(b.word[2], b.word[3]));
  }
  return done;
}

std::size_t bits_on_vectors(const PhiloxRange& range, std::uint32_t* out) {
  const Wide wide;
  return for_whole_vectors(range, [=](std::size_t at, auto words01, auto words23) HWY_ATTR {
    hn::StoreInterleaved2(hn::BitCast(wide, words01), hn::BitCast(wide, words23), wide,
                          reinterpret_cast<std::uint64_t*>(out + at));
  });
}

std::size_t uniform_on_vectors(const PhiloxRange& range, float* out) {
  const Wide wide;
  const hn::RebindToFloat<Narrow> real;
  const hn::RebindToSigned<Narrow> integer;
  const auto scaled = [=](auto words) HWY_ATTR {
    // 24 bits fit a signed integer and a float without rounding.
    const auto value = hn::ConvertTo(real, hn::BitCast(integer, hn::ShiftRight<8>(words)));
    return hn::BitCast(wide, hn::Mul(value, hn::Set(real, 0x1p-24f)));
  };
  return for_whole_vectors(range, [=](std::size_t at, auto words01, auto words23) HWY_ATTR {
    hn::StoreInterleaved2(scaled(words01), scaled(words23), wide,
                          reinterpret_cast<std::uint64_t*>(out + at));
  });
}

#endif

void box_muller_on_vectors(const std::uint32_t* bits, float* out, std::size_t pairs) {
  const hn::ScalableTag<float> real;
  const hn::RebindToUnsigned<decltype(real)> word;
  const hn::RebindToSigned<decltype(real)> integer;
  const std::size_t lanes = hn::Lanes(real);
  HWY_ALIGN std::uint32_t bits_of_rest[2 * hn::MaxLanes(real)] = {};
  HWY_ALIGN float out_of_rest[2 * hn::MaxLanes(real)];
  for (std::size_t i = 0; i < pairs; i += lanes) {
    // The rest takes the same instructions, padded: so the cut of a range changes no bit.
    const std::size_t here = HWY_MIN(lanes, pairs - i);
    const bool whole = here == lanes;
    if (!whole) std::copy_n(bits + 2 * i, 2 * here, bits_of_rest);
    hn::Vec<decltype(word)> radius_bits;
    hn::Vec<decltype(word)> angle_bits;
    hn::LoadInterleaved2(word, whole ? bits + 2 * i : bits_of_rest, radius_bits, angle_bits);
    const auto above_zero = hn::Add(hn::ShiftRight<8>(radius_bits), hn::Set(word, 1));
    const auto u = hn::Mul(hn::ConvertTo(real, hn::BitCast(integer, above_zero)),
                           hn::Set(real, 0x1p-24f));  // in (0, 1]
    const auto radius = hn::Sqrt(hn::Mul(hn::Set(real, -2.0f), hn::Log(real, u)));
    const auto turn = hn::ConvertTo(real, hn::BitCast(integer, hn::ShiftRight<8>(angle_bits)));
    const auto angle = hn::Mul(turn, hn::Set(real, 6.2831853071795865f * 0x1p-24f));
    hn::StoreInterleaved2(hn::Mul(radius, hn::Cos(real, angle)),
                          hn::Mul(radius, hn::Sin(real, angle)), real,
                          whole ? out + 2 * i : out_of_rest);
    if (!whole) std::copy_n(out_of_rest, 2 * here, out + 2 * i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::detail {

HWY_EXPORT(bits_on_vectors);
HWY_EXPORT(uniform_on_vectors);
HWY_EXPORT(box_muller_on_vectors);

std::size_t philox_bits(const PhiloxRange& range, std::uint32_t* out) {
  return HWY_DYNAMIC_DISPATCH(bits_on_vectors)(range, out);
}

std::size_t philox_uniform(const PhiloxRange& range, float* out) {
  return HWY_DYNAMIC_DISPATCH(uniform_on_vectors)(range, out);
}

void box_muller(const std::uint32_t* bits, float* out, std::size_t pairs) {
  HWY_DYNAMIC_DISPATCH(box_muller_on_vectors)(bits, out, pairs);
}

}  // namespace shoal::detail
#endif  // HWY_ONCE

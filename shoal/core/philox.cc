#include "shoal/core/philox.h"

#include <algorithm>
#include <numeric>

#include "shoal/core/digest.h"
#include "shoal/core/philox_vector.h"

namespace shoal {
namespace {

// Spreads a seed over 64 bits, so that seeds 1, 2, 3 differ in many.
// Source: Steele et al., Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (SplitMix64).
std::uint64_t spread(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

constexpr std::uint32_t low_half(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high_half(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

float to_uniform(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

// Numbers of a block at a time, for whoever takes an unknown count of them.
class Words {
 public:
  explicit Words(const RandomStream& stream) : stream_(stream) {}

  std::uint32_t next() {
    if (used_ == buffer_.size()) {
      stream_.bits(buffer_, first_);
      first_ += buffer_.size();
      used_ = 0;
    }
    return buffer_[used_++];
  }

 private:
  const RandomStream& stream_;
  std::array<std::uint32_t, 1024> buffer_{};
  std::uint64_t first_ = 0;
  std::size_t used_ = buffer_.size();
};

// Uniform in 0..bound-1, without bias. bound > 0.
// Source: Lemire, Fast Random Integer Generation in an Interval, ACM TOMACS 2019.
std::uint32_t below(std::uint32_t bound, Words& words) {
  std::uint64_t product = std::uint64_t{words.next()} * bound;
  if (low_half(product) < bound) {
    const std::uint32_t threshold = (0u - bound) % bound;
    while (low_half(product) < threshold) product = std::uint64_t{words.next()} * bound;
  }
  return high_half(product);
}

}  // namespace

std::array<std::uint32_t, 4> philox(PhiloxCounter c, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {high_half(product1) ^ c[1] ^ key[0], low_half(product1),
         high_half(product0) ^ c[3] ^ key[1], low_half(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view name, std::uint64_t a,
                           std::uint32_t b)
    : high_{b, low_half(a), high_half(a)} {
  const std::uint64_t key = spread(seed ^ spread(name_hash(name)));
  key_ = {low_half(key), high_half(key)};
}

RandomStream RandomStream::at(std::uint64_t a, std::uint32_t b) const {
  RandomStream other;
  other.key_ = key_;
  other.high_ = {b, low_half(a), high_half(a)};
  return other;
}

// The counter has 32 bits for the block; beyond 2^34 elements another key takes over.
PhiloxKey RandomStream::key_of_block(std::uint64_t index) const {
  const std::uint64_t key = std::uint64_t{key_[1]} << 32 | key_[0];
  const std::uint64_t moved = high_half(index) == 0 ? key : key ^ spread(high_half(index));
  return {low_half(moved), high_half(moved)};
}

std::array<std::uint32_t, 4> RandomStream::block(std::uint64_t index) const {
  return philox({low_half(index), high_[0], high_[1], high_[2]}, key_of_block(index));
}

std::uint32_t RandomStream::bits(std::uint64_t element) const {
  return block(element / 4)[element % 4];
}

namespace {

// Writes elements [first, first + out.size()): whole blocks in bulk, the rest one by one.
template <typename Number, typename Bulk, typename One>
void fill(std::span<Number> out, std::uint64_t first, const Bulk& bulk, const One& one) {
  while (!out.empty()) {
    std::size_t taken = 0;
    if (first % 4 == 0) {
      const std::uint64_t block = first / 4;
      const std::uint64_t until_next_key = (std::uint64_t{1} << 32) - low_half(block);
      taken = 4 * bulk(block, std::min<std::uint64_t>(out.size() / 4, until_next_key), out.data());
    }
    if (taken == 0) {
      const auto words = one(first / 4);
      taken = std::min<std::size_t>(4 - first % 4, out.size());
      for (std::size_t i = 0; i < taken; ++i) out[i] = words[first % 4 + i];
    }
    out = out.subspan(taken);
    first += taken;
  }
}

}  // namespace

void RandomStream::bits(std::span<std::uint32_t> out, std::uint64_t first) const {
  const auto bulk = [this](std::uint64_t index, std::size_t blocks, std::uint32_t* to) {
    return detail::philox_bits({.counter = {low_half(index), high_[0], high_[1], high_[2]},
                                .key = key_of_block(index),
                                .blocks = blocks},
                               to);
  };
  fill(out, first, bulk, [this](std::uint64_t index) { return block(index); });
}

void RandomStream::uniform(std::span<float> out, std::uint64_t first) const {
  const auto bulk = [this](std::uint64_t index, std::size_t blocks, float* to) {
    return detail::philox_uniform({.counter = {low_half(index), high_[0], high_[1], high_[2]},
                                   .key = key_of_block(index),
                                   .blocks = blocks},
                                  to);
  };
  fill(out, first, bulk, [this](std::uint64_t index) {
    std::array<float, 4> numbers;
    std::ranges::transform(block(index), numbers.begin(), to_uniform);
    return numbers;
  });
}

void RandomStream::normal(std::span<float> out, std::uint64_t first) const {
  std::array<std::uint32_t, 1024> words;
  std::array<float, 1024> numbers;
  while (!out.empty()) {
    const std::uint64_t skipped = first % 2;  // the half of a pair that was not asked for
    const std::size_t count = std::min<std::size_t>(words.size() - skipped, out.size());
    const std::size_t pairs = (skipped + count + 1) / 2;
    bits(std::span(words).first(2 * pairs), first - skipped);
    detail::box_muller(words.data(), numbers.data(), pairs);
    std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(skipped), count, out.begin());
    out = out.subspan(count);
    first += count;
  }
}

std::vector<std::uint32_t> permutation(std::uint32_t n, std::uint64_t seed, std::string_view name,
                                       std::uint64_t epoch) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  const RandomStream stream(seed, name, epoch);
  Words words(stream);
  // Fisher and Yates, from the back: place i takes one of the i + 1 that are left.
  for (std::uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i, words)]);
  return order;
}

}  // namespace shoal

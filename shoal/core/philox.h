// Stateless random numbers: Philox 4x32-10. The same (key, counter) gives the same bits everywhere,
// so nothing has to be saved or replayed.
// Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011, section 3.3.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace shoal {

using PhiloxKey = std::array<std::uint32_t, 2>;
using PhiloxCounter = std::array<std::uint32_t, 4>;

std::array<std::uint32_t, 4> philox(PhiloxCounter counter, PhiloxKey key);

// A stream of numbers named by what it is for. Element i depends only on (seed, name, a, b, i):
// however a range is cut into calls, the bits are the same; uniform() and bits() give the same bits
// on every CPU, normal() on every CPU with the same vector instructions. A small value; all calls
// may run in several threads at once.
class RandomStream {
 public:
  // `a` and `b` are coordinates such as step and sample index. Streams of one seed and name never
  // share a counter. Costs a SHA-256 of the name: make one, then use at() for other coordinates.
  RandomStream(std::uint64_t seed, std::string_view name, std::uint64_t a = 0, std::uint32_t b = 0);

  // The stream of the same seed and name at other coordinates.
  RandomStream at(std::uint64_t a, std::uint32_t b = 0) const;

  // Elements first .. first + out.size() - 1. Uniform in [0, 1), 24 random bits each.
  void uniform(std::span<float> out, std::uint64_t first = 0) const;
  // Standard normal (Box-Muller on pairs of elements); no value lies beyond 5.77.
  void normal(std::span<float> out, std::uint64_t first = 0) const;
  // 32 random bits each.
  void bits(std::span<std::uint32_t> out, std::uint64_t first = 0) const;
  std::uint32_t bits(std::uint64_t element) const;

 private:
  RandomStream() = default;
  std::array<std::uint32_t, 4> block(std::uint64_t index) const;
  PhiloxKey key_of_block(std::uint64_t index) const;

  PhiloxKey key_{};
  std::array<std::uint32_t, 3> high_{};  // counter words 1 to 3: b, low and high half of a
};

// A permutation of 0..n-1 that depends on (seed, name, epoch) only; every one is equally likely (up
// to the 64 bits of the key). O(n).
std::vector<std::uint32_t> permutation(std::uint32_t n, std::uint64_t seed, std::string_view name,
                                       std::uint64_t epoch);

}  // namespace shoal

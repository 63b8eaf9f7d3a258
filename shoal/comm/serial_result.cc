#include "shoal/comm/serial_result.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "shoal/comm/half_types.h"
#include "shoal/core/partition.h"

namespace shoal {
namespace {

using Bytes = std::vector<std::byte>;

// One element of any type as a number, and back.
double read(ElementType type, const std::byte* at) {
  const auto as = [&]<typename T>(T value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (type) {
    case ElementType::float32:
      return as(float{});
    case ElementType::float64:
      return as(double{});
    case ElementType::float16:
      return widened(as(Float16{}));
    case ElementType::bfloat16:
      return widened(as(BFloat16{}));
    case ElementType::int8:
      return as(std::int8_t{});
    case ElementType::int16:
      return as(std::int16_t{});
    case ElementType::int32:
      return as(std::int32_t{});
    case ElementType::int64:
      return static_cast<double>(as(std::int64_t{}));
    case ElementType::uint8:
      return as(std::uint8_t{});
    case ElementType::boolean:
      return as(std::uint8_t{});
  }
  return 0;
}

void write(ElementType type, std::byte* at, double number) {
  const auto as = [&](auto value) { std::memcpy(at, &value, sizeof value); };
  const auto whole = static_cast<std::int64_t>(number);
  switch (type) {
    case ElementType::float32:
      return as(static_cast<float>(number));
    case ElementType::float64:
      return as(number);
    case ElementType::float16:
      return as(rounded_to_float16(static_cast<float>(number)));
    case ElementType::bfloat16:
      return as(rounded_to_bfloat16(static_cast<float>(number)));
    case ElementType::int8:
      return as(static_cast<std::int8_t>(whole));
    case ElementType::int16:
      return as(static_cast<std::int16_t>(whole));
    case ElementType::int32:
      return as(static_cast<std::int32_t>(whole));
    case ElementType::int64:
      return as(whole);
    case ElementType::uint8:
      return as(static_cast<std::uint8_t>(whole));
    case ElementType::boolean:
      return as(static_cast<std::uint8_t>(whole != 0));
  }
}

bool is_float(ElementType type) {
  return type == ElementType::float32 || type == ElementType::float64 ||
         type == ElementType::float16 || type == ElementType::bfloat16;
}

double combine(ElementType type, ReduceOp op, double a, double b) {
  const auto wrapped = [&](std::uint64_t value) {
    std::byte memory[8];
    std::memcpy(memory, &value, sizeof value);
    return read(type, memory);
  };
  const auto bits = [](double number) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(number));
  };
  const bool narrow = is_float(type) && type != ElementType::float64;
  switch (op) {
    case ReduceOp::min:
      return std::min(a, b);
    case ReduceOp::max:
      return std::max(a, b);
    case ReduceOp::bit_and:
      return wrapped(bits(a) & bits(b));
    case ReduceOp::bit_or:
      return wrapped(bits(a) | bits(b));
    case ReduceOp::bit_xor:
      return wrapped(bits(a) ^ bits(b));
    case ReduceOp::product:
      if (narrow) return static_cast<float>(a) * static_cast<float>(b);
      return is_float(type) ? a * b : wrapped(bits(a) * bits(b));
    case ReduceOp::sum:
    case ReduceOp::mean:
      // float32 and narrower are summed in float32; sums of whole numbers are exact here and wrap
      // when they are written.
      return narrow ? static_cast<float>(a) + static_cast<float>(b) : a + b;
  }
  return 0;
}

// What a whole sum is divided by.
double divided(ElementType type, double sum, int size) {
  if (type == ElementType::float64) return sum / size;
  return static_cast<float>(sum) / static_cast<float>(size);
}

// 64 bits that look random, the same for the same numbers.
std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15ULL + b + 0x1234567ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

using HeldValues = std::vector<std::vector<double>>;  // by rank

struct Change {
  int rank;
  Range range;
  std::vector<double> values;
};

// What a step of a schedule changes of one chunk on one rank, from what was held before it.
std::optional<Change> change(const Schedule& schedule, int step, int rank, int chunk,
                             const HeldValues& held, ElementType type, ReduceOp op) {
  std::vector<int> sources{rank};
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step || transfer.to != rank || chunk < transfer.first ||
        chunk >= transfer.first + transfer.chunks) {
      continue;
    }
    if (transfer.effect == Transfer::Effect::replace) sources.clear();
    sources.push_back(transfer.from);
  }
  std::sort(sources.begin(), sources.end());
  if (sources == std::vector<int>{rank}) return std::nullopt;
  const Range range = part_of(static_cast<std::int64_t>(held[rank].size()), schedule.chunks, chunk);
  const auto values_of = [&](int source) { return held[source].begin() + range.begin; };
  std::vector<double> sum(values_of(sources[0]), values_of(sources[0]) + range.size());
  for (std::size_t k = 1; k < sources.size(); ++k) {
    std::transform(sum.begin(), sum.end(), values_of(sources[k]), sum.begin(),
                   [&](double x, double y) { return combine(type, op, x, y); });
  }
  return Change{rank, range, std::move(sum)};
}

}  // namespace

std::vector<std::byte> sample_input(ElementType type, std::size_t elements, int rank) {
  Bytes values(elements * size_of(type));
  for (std::size_t i = 0; i < elements; ++i) {
    const std::uint64_t random = mixed(i, static_cast<std::uint64_t>(rank));
    double number = static_cast<double>(random % 2001) - 1000;
    if (is_float(type)) number /= 7;
    if (type == ElementType::boolean) number = random % 3 == 0 ? 1 : 0;
    write(type, values.data() + i * size_of(type), number);
  }
  return values;
}

std::vector<std::byte> serial_sum(const Schedule& schedule, ElementType type, ReduceOp op,
                                  std::size_t elements) {
  HeldValues held(static_cast<std::size_t>(schedule.size));
  for (int rank = 0; rank < schedule.size; ++rank) {
    const Bytes input = sample_input(type, elements, rank);
    for (std::size_t i = 0; i < elements; ++i) {
      held[rank].push_back(read(type, input.data() + i * size_of(type)));
    }
  }
  for (int step = 0; step < schedule.steps(); ++step) {
    std::vector<Change> changes;
    for (int rank = 0; rank < schedule.size; ++rank) {
      for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
        auto changed = change(schedule, step, rank, chunk, held, type, op);
        if (changed) changes.push_back(std::move(*changed));
      }
    }
    for (const Change& one : changes) {
      std::copy(one.values.begin(), one.values.end(), held[one.rank].begin() + one.range.begin);
    }
  }
  for (const std::vector<double>& other : held) {
    if (other != held[0]) return {};
  }
  Bytes result(elements * size_of(type));
  for (std::size_t i = 0; i < elements; ++i) {
    const double whole =
        op == ReduceOp::mean ? divided(type, held[0][i], schedule.size) : held[0][i];
    write(type, result.data() + i * size_of(type), whole);
  }
  return result;
}

}  // namespace shoal

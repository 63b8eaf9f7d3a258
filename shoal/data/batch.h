// A batch: samples as they go to a model, in memory that is used again for the next batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

// Bytes that start on a cache line and are not filled at creation: touching 47 MB only to fill it
// again would cost as much as reading it. Not thread safe.
class AlignedBytes {
 public:
  static constexpr std::size_t kAlignment = 64;

  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t size) { resize(size); }

  // The content is undefined afterwards. Allocates only when larger than ever before, so a batch
  // that is used again touches no new page. Asks the system for large pages where some fit: a
  // first touch of each small one would cost as much as a copy. Throws std::bad_alloc.
  void resize(std::size_t size) {
    if (size > capacity_) {
      memory_ = allocate(size);
      capacity_ = size;
    }
    size_ = size;
  }

  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {memory_.get(), size_}; }
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

  template <typename T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(memory_.get()), size_ / sizeof(T)};
  }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(memory_.get()), size_ / sizeof(T)};
  }

 private:
  struct Free {
    std::align_val_t alignment;
    void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
  };
  using Memory = std::unique_ptr<std::byte, Free>;
  static Memory allocate(std::size_t size);

  Memory memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Move only. `samples` may be 0: a worker's part of a last batch can be empty.
struct Batch {
  std::int64_t index = 0;  // which batch of the loader's plan this is: a step, or a round
  std::int64_t samples = 0;

  AlignedBytes inputs;  // samples x input_shape, row-major, of input_type: float32, or int64 ids
  ElementType input_type = ElementType::float32;
  std::vector<std::int64_t> input_shape;  // of one sample

  // One of the two has samples x answer_shape elements, row-major; the other is empty.
  std::vector<std::int64_t> answer_shape;  // of one sample; {}: one answer
  std::vector<std::int64_t> labels;        // classification: 0 .. classes-1
  std::vector<float> targets;              // regression

  // Mixtures of two samples (mixup): the share of the sample itself, and of classes the label of
  // the other one. Empty where nothing is mixed.
  std::vector<float> shares;
  std::vector<std::int64_t> other_labels;

  // The samples' rows in the data set as stored in its files. They stay the same under any split,
  // shuffle or number of workers: what stateless randomness is keyed by.
  std::vector<std::int64_t> sample_ids;

  std::span<const float> floats() const { return inputs.as<float>(); }
};

}  // namespace shoal

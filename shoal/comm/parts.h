// Several pieces of memory of one type as one vector.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

#include "shoal/comm/group.h"

namespace shoal {

using Stretches = std::vector<iovec>;  // contiguous pieces of memory, in order

// Copies all of them to one place, or back.
void gather(const Stretches& from, std::byte* to);
void scatter(const std::byte* from, const Stretches& to);

// Borrows the memory; the list itself may go.
class Parts {
 public:
  // Throws InvalidInput when the types differ or a part of some elements has no memory.
  explicit Parts(std::span<const Buffer> parts);
  explicit Parts(ConstBuffer part);

  ElementType type() const { return type_; }
  std::size_t elements() const { return elements_; }
  std::size_t bytes() const { return elements_ * size_; }

  // Copies `count` elements from position `begin` to `to`, or back.
  void gather(std::size_t begin, std::size_t count, std::byte* to) const;
  void scatter(const std::byte* from, std::size_t begin, std::size_t count) const;

  // Calls visit(memory, elements, how many came before) for each contiguous stretch of the range.
  template <typename Visit>
  void visit(std::size_t begin, std::size_t count, const Visit& visit) const {
    if (count == 0) return;
    if (many_.empty()) {
      visit(one_ + begin * size_, count, std::size_t{0});
      return;
    }
    std::size_t before = 0;
    for (std::size_t part = part_at(begin); before < count; ++part) {
      const std::size_t start = begin + before - many_[part].first;
      const std::size_t here = std::min(count - before, many_[part].elements - start);
      if (here != 0) visit(many_[part].data + start * size_, here, before);
      before += here;
    }
  }

 private:
  struct Part {
    std::byte* data;
    std::size_t elements;
    std::size_t first;  // position of its first element in the vector
  };
  std::size_t part_at(std::size_t position) const;

  ElementType type_ = ElementType::float32;
  std::size_t size_ = 4;  // bytes of an element
  std::size_t elements_ = 0;
  std::byte* one_ = nullptr;  // the usual case costs no allocation
  std::vector<Part> many_;    // used when there are several
};

}  // namespace shoal

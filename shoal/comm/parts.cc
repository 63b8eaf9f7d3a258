#include "shoal/comm/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "shoal/core/error.h"

namespace shoal {

Parts::Parts(std::span<const Buffer> parts) {
  if (parts.empty()) return;
  type_ = parts[0].type;
  size_ = size_of(type_);
  if (parts.size() > 1) many_.reserve(parts.size());
  for (const Buffer& part : parts) {
    if (part.type != type_) {
      throw InvalidInput(
          fmt::format("the parts of one vector have types {} and {}; make a call per "
                      "type",
                      name_of(type_), name_of(part.type)));
    }
    if (part.data == nullptr && part.elements != 0) {
      throw InvalidInput(fmt::format("a part of {} elements has no memory", part.elements));
    }
    if (parts.size() == 1) {
      one_ = part.data;
    } else {
      many_.push_back({part.data, part.elements, elements_});
    }
    elements_ += part.elements;
  }
}

// The memory is only read through a Parts made of a ConstBuffer: its owner calls no scatter().
Parts::Parts(ConstBuffer part)
    : type_(part.type),
      size_(size_of(part.type)),
      elements_(part.elements),
      one_(const_cast<std::byte*>(part.data)) {
  if (part.data == nullptr && part.elements != 0) {
    throw InvalidInput(fmt::format("a buffer of {} elements has no memory", part.elements));
  }
}

std::size_t Parts::part_at(std::size_t position) const {
  const auto after =
      std::upper_bound(many_.begin(), many_.end(), position,
                       [](std::size_t wanted, const Part& part) { return wanted < part.first; });
  return static_cast<std::size_t>(after - many_.begin()) - 1;
}

void Parts::gather(std::size_t begin, std::size_t count, std::byte* to) const {
  visit(begin, count, [&](const std::byte* memory, std::size_t elements, std::size_t before) {
    std::memcpy(to + before * size_, memory, elements * size_);
  });
}

void Parts::scatter(const std::byte* from, std::size_t begin, std::size_t count) const {
  visit(begin, count, [&](std::byte* memory, std::size_t elements, std::size_t before) {
    std::memcpy(memory, from + before * size_, elements * size_);
  });
}

void gather(const Stretches& from, std::byte* to) {
  for (const iovec& stretch : from) {
    if (stretch.iov_len != 0) std::memcpy(to, stretch.iov_base, stretch.iov_len);
    to += stretch.iov_len;
  }
}

void scatter(const std::byte* from, const Stretches& to) {
  for (const iovec& stretch : to) {
    if (stretch.iov_len != 0) std::memcpy(stretch.iov_base, from, stretch.iov_len);
    from += stretch.iov_len;
  }
}

}  // namespace shoal

// The content of a file, put together in memory from where the disk takes it (AtomicFile's
// write_direct), with checksums taken on the way in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace shoal {

// One thread at a time. Its memory is kept from one content to the next, so that its pages are
// faulted in once, and comes in huge pages where the system has them.
class FileImage {
 public:
  // Makes room for `bytes`; what they hold is not defined.
  void resize(std::size_t bytes);
  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

  // Copies `content` to offset `at` (checked: it fits) and returns its CRC-32C. Streams past the
  // cache: about the time of reading `content` once.
  std::uint32_t put(std::size_t at, std::span<const std::byte> content);

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace shoal

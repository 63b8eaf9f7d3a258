// The bytes of one input file in order, unpacked when its name ends in ".gz".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace shoal {

// Used by one thread. Blocks for as long as the disk and, for .gz, unpacking take (150 MB/s);
// a stop requested through the token given to open_source is seen every 256 KiB.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Up to out.size() bytes; fewer only at the end of the content. Throws Corrupt for damaged gzip:
  // cut stream, CRC-32 or length wrong, bytes after the last member.
  std::size_t read(std::span<std::byte> out);

  // Throws Corrupt "FILE: byte N: expected 16 bytes of header, found the end of the file ...".
  void read_exactly(std::span<std::byte> out, std::string_view what);

  // Throws Corrupt when there are more bytes; `what` says after what.
  void expect_end(std::string_view what);

  // The rest of the content.
  std::string read_rest();

  // No more content than this can follow from position 0: what a header claims is compared with it
  // before anything is allocated. A plain file's size; for gzip the most that deflate can unpack.
  virtual std::uint64_t largest_size() const = 0;
  std::uint64_t position() const { return position_; }  // of the unpacked content
  const std::string& path() const { return path_; }

 protected:
  explicit ByteSource(std::string path) : path_(std::move(path)) {}
  virtual std::size_t read_some(std::span<std::byte> out) = 0;  // 0 at the end

 private:
  std::string path_;
  std::uint64_t position_ = 0;
};

// Throws InvalidInput naming the path when there is no regular file that can be read, Corrupt when
// a .gz file is not gzip or another one is, Cancelled after a stop.
std::unique_ptr<ByteSource> open_source(const std::filesystem::path& path,
                                        std::stop_token stop = {});

// The same for content that is in memory already; `name` stands for the path.
std::unique_ptr<ByteSource> memory_source(std::string name, std::string content);

}  // namespace shoal
